#!/usr/bin/env bash
# Saves InfluxDB's volume to a file, and restores it from one. InfluxDB rests meanwhile; the pipeline does not lose anything by
# that: what can't be stored waits in the broker's log.
set -euo pipefail

usage() {
  cat <<'END'
influxdb-volume.sh save FILE.tar.gz      writes all that InfluxDB holds to a new file
influxdb-volume.sh restore FILE.tar.gz   replaces all that InfluxDB holds by what is in a file

NAMESPACE   where the release is (gpu-telemetry)

The file holds InfluxDB's users and tokens too: keep it as you keep the Secret. Restored into another cluster, that has to have the
Secret of the first: kubectl get secret gpu-telemetry-secret -o yaml.
END
}

[ "${1:-}" = --help ] && { usage; exit 0; }
[ $# -eq 2 ] || { usage >&2; exit 2; }
action=$1 file=$2
namespace=${NAMESPACE:-gpu-telemetry}
pod=influxdb-volume

kube() { kubectl --namespace "$namespace" "$@"; }
fail() {
  echo "influxdb-volume.sh: $*" >&2
  exit 1
}

case $action in
  save) [ ! -e "$file" ] || fail "$file is there already" ;;
  restore) tar -tzf "$file" ./influxd.bolt >/dev/null 2>&1 || fail "$file is no file that save wrote: it holds no ./influxd.bolt" ;;
  *) usage >&2; exit 2 ;;
esac
image=$(kube get statefulset mq-server --output 'jsonpath={.spec.template.spec.containers[0].image}') ||
  fail "no release in the namespace $namespace"

resume() {
  kube delete pod "$pod" --ignore-not-found --now >/dev/null
  kube scale deployment influxdb --replicas 1 >/dev/null
}
trap resume EXIT
kube scale deployment influxdb --replicas 0 >/dev/null
kube wait pod --selector app.kubernetes.io/component=influxdb --for delete --timeout 2m >/dev/null

kube apply --filename - >/dev/null <<END
apiVersion: v1
kind: Pod
metadata: {name: $pod}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  securityContext: {runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: volume
      image: $image
      command: [node, -e, "setInterval(() => {}, 1e9)"]
      resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 256Mi}}
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
      volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: influxdb-pvc}}]
END
kube wait pod "$pod" --for condition=Ready --timeout 2m >/dev/null

if [ "$action" = save ]; then
  taken=$(date --utc +%Y-%m-%dT%H:%M:%SZ)
  # Without the folder itself, whose mode and times only root may set where it is restored.
  kube exec "$pod" -- sh -c 'cd /data && find . -mindepth 1 -maxdepth 1 -print0 | tar -cz --null --files-from -' >"$file.part"
  tar -tzf "$file.part" ./influxd.bolt >/dev/null || fail "the copy is not whole: $file.part"
  mv "$file.part" "$file"
  echo "saved to $file what InfluxDB held at $taken"
  echo "after a restore, let each collector store again what came since: offsets set collector-0 $taken"
else
  kube exec "$pod" -- find /data -mindepth 1 -delete
  kube exec --stdin "$pod" -- tar -C /data -xz <"$file"
  # They remember what was in the other one.
  kube rollout restart deployment/api statefulset/collector >/dev/null
  echo "restored from $file; InfluxDB starts"
fi
