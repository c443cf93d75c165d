#!/usr/bin/env bash
# Saves InfluxDB's volume to a file, and restores it from one, together with how far each collector had come. InfluxDB rests
# meanwhile, and nothing is lost by that: what can't be stored waits in the broker's log.
set -euo pipefail
umask 077

usage() {
  cat <<'END'
influxdb-volume.sh save FILE.tar.gz      writes all that InfluxDB holds, and the collectors' checkpoints, to a new file
influxdb-volume.sh restore FILE.tar.gz   replaces all that InfluxDB holds by what is in a file

NAMESPACE   where the release is (gpu-telemetry)
CONTEXT     kubectl's context (the current one)

InfluxDB is stopped while its volume is copied, and started again. A restore also sends each collector that has come further since
back to its checkpoint in the file, so that it stores again what the broker's log has from there on: what is there already stays
once. No collector is sent forward. Where the broker's log is not the one of the file, as in another cluster, collectors begin at
its oldest message. Collectors and the gateway start anew after that.

A restore that fails once the volume is being replaced leaves InfluxDB stopped: run it again. Any other failure starts InfluxDB again.

The file holds InfluxDB's users and tokens too: keep it as you keep the Secret. Restored into another cluster, that has to have the
Secret of the first: kubectl get secret gpu-telemetry-secret -o yaml.
END
}

[ "${1:-}" = --help ] && { usage; exit 0; }
[ $# -eq 2 ] || { usage >&2; exit 2; }
action=$1 file=$2
namespace=${NAMESPACE:-gpu-telemetry}
pod=influxdb-volume

kube() { kubectl ${CONTEXT:+--context "$CONTEXT"} --namespace "$namespace" "$@"; }
say() { printf 'influxdb-volume.sh: %s\n' "$*" >&2; }
fail() {
  say "$*"
  exit 1
}
# From a collector's pod, which may reach the broker and knows its certificate; from the broker's own where there is none.
peer=
offsets() { kube exec "$peer" -- node /app/dist/telemetry-pipeline.js offsets "$@" </dev/null; }
# A line for each collector: its id and its checkpoint.
checkpoints() { offsets list | awk '$1 ~ /^collector-[0-9]+$/ && $2 ~ /^[0-9]+$/ { print $1, $2 }' | sort; }

saved=
case $action in
  save) [ ! -e "$file" ] || fail "$file is there already" ;;
  restore)
    # To its end, before anything is touched.
    gzip -t <"$file" || fail "$file can't be read, or is not whole"
    names=$(tar -tzf - <"$file") || fail "$file can't be read, or is not whole"
    case $'\n'$names$'\n' in
      *$'\n'./influxd.bolt$'\n'*) ;;
      *) fail "$file is no file that save wrote: it holds no ./influxd.bolt" ;;
    esac
    case $'\n'$names$'\n' in
      *$'\n'./checkpoints$'\n'*) saved=$(tar -xzOf - ./checkpoints <"$file") ;;
      *) say "$file holds no checkpoints: collectors go on where they are" ;;
    esac
    ;;
  *) usage >&2; exit 2 ;;
esac

echo "context ${CONTEXT:-$(kubectl config current-context 2>/dev/null || echo 'of the cluster around')}, namespace $namespace"
template='{.spec.template.spec'
deployment=$(kube get deployment influxdb --output "jsonpath={.spec.replicas}{\"\n\"}\
$template.volumes[?(@.name==\"data\")].persistentVolumeClaim.claimName}{\"\n\"}\
$template.imagePullSecrets}{\"\n\"}$template.nodeSelector}{\"\n\"}$template.tolerations}{\"\n\"}end") ||
  fail "no deployment influxdb in the namespace $namespace"
{
  read -r replicas
  read -r claim
  read -r pull_secrets
  read -r node_selector
  read -r tolerations
} <<<"$deployment"
[ -n "$claim" ] || fail "deployment/influxdb mounts no claim as data"
image=$(kube get statefulset mq-server --output "jsonpath=$template.containers[?(@.name==\"broker\")].image}") ||
  fail "no statefulset mq-server in the namespace $namespace"
# Offsets mean something in the log that they are of, which is on this volume.
log=$(kube get persistentvolumeclaim data-mq-server-0 --output 'jsonpath={.metadata.uid}') || fail "the broker has no claim data-mq-server-0"
for peer in collector-0 mq-server-0 ""; do
  [ -n "$peer" ] || fail "mq-server can't be asked for the collectors' checkpoints: nothing was stopped"
  if checkpoints >/dev/null; then break; fi
done
[ -z "$(kube get pod "$pod" --ignore-not-found --output name)" ] ||
  fail "pod/$pod is there: another run is at work, or was killed; then kubectl --namespace $namespace delete pod $pod"
if [ "$action" = save ]; then
  [ "$replicas" != 0 ] || fail "InfluxDB is stopped already: was a restore cut short? Run that again, or scale deployment/influxdb to 1"
  : >"$file.part" || fail "$file.part can't be written"
fi

# Who comes first sets an InfluxDB up that is empty, so one that is not whole stays stopped.
may_start=true
[ "$replicas" != 0 ] || may_start=false
copying=
finish() {
  local code=$?
  trap '' HUP INT TERM PIPE
  set +e
  [ -z "$copying" ] || kill "$copying" 2>/dev/null
  kube delete pod "$pod" --ignore-not-found --now --timeout 1m >/dev/null ||
    say "pod/$pod is left: kubectl --namespace $namespace delete pod $pod"
  if [ "$may_start" = false ]; then
    say "InfluxDB stays stopped, as its volume is not whole: run restore again"
  elif ! kube scale deployment influxdb --replicas 1 >/dev/null; then
    say "InfluxDB is stopped still: kubectl --namespace $namespace scale deployment influxdb --replicas 1"
    [ "$code" -ne 0 ] || code=1
  fi
  [ "$action" != save ] || rm -f -- "$file.part"
  exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
# Runs in the pod what may take long, so that a signal does not wait for its end. Not by `kube`: its process has to be this one.
copy() {
  kubectl ${CONTEXT:+--context "$CONTEXT"} --namespace "$namespace" exec "$@" <&3 &
  copying=$!
  wait "$copying"
  copying=
}

echo "InfluxDB stops"
kube scale deployment influxdb --replicas 0 >/dev/null
kube wait pod --selector app.kubernetes.io/component=influxdb --for delete --timeout 2m >/dev/null
# What has been committed is stored by now; what was stored and not committed comes again, and stays once.
current=$(checkpoints) || fail "mq-server can't be asked any more for the collectors' checkpoints"

kube create --filename - >/dev/null <<END
apiVersion: v1
kind: Pod
metadata: {name: $pod}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  imagePullSecrets: ${pull_secrets:-[]}
  nodeSelector: ${node_selector:-"{}"}
  tolerations: ${tolerations:-[]}
  securityContext: {runAsNonRoot: true, runAsUser: 1000, runAsGroup: 1000, fsGroup: 1000, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: volume
      image: $image
      command: [node, -e, "setInterval(() => {}, 1e9)"]
      resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {cpu: "1", memory: 256Mi}}
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
      volumeMounts: [{name: data, mountPath: /data}, {name: tmp, mountPath: /tmp}]
  volumes:
    - {name: data, persistentVolumeClaim: {claimName: $claim}}
    - {name: tmp, emptyDir: {sizeLimit: 16Mi}}
END
kube wait pod "$pod" --for condition=Ready --timeout 2m >/dev/null || {
  kube get pod "$pod" --output 'jsonpath={range .status.conditions[*]}{.type} {.status} {.message}{"\n"}{end}' >&2 || true
  kube get events --field-selector "involvedObject.name=$pod" --output 'jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}' >&2 || true
  fail "pod/$pod, which would copy the volume, does not start"
}

if [ "$action" = save ]; then
  printf 'log %s\n%s\n' "$log" "$current" | kube exec --stdin "$pod" -- sh -c 'cat >/tmp/checkpoints'
  # Without the folder itself, whose mode and times only root may set where it is restored.
  copy "$pod" -- sh -c 'cd /data && find . -mindepth 1 -maxdepth 1 ! -name lost+found -print0 |
    tar -cz -C /tmp ./checkpoints -C /data --null --files-from -' 3</dev/null >"$file.part"
  { gzip -t <"$file.part" && tar -tzf - ./influxd.bolt ./checkpoints <"$file.part"; } >/dev/null || fail "the copy is not whole"
  mv -- "$file.part" "$file"
  echo "saved to $file, with these checkpoints:"
  echo "${current:-no collector has one}"
else
  may_start=false
  kube exec "$pod" -- find /data -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf '{}' +
  copy --stdin "$pod" -- tar -C /data -xz --exclude ./checkpoints --wildcards './?*' 3<"$file"
  echo "restored from $file"
  case $saved in
    "") goals= ;;
    "log $log"*) goals=$saved ;;
    *) goals=$(awk '{ print $1, 0 }' <<<"$current") ;;
  esac
  while read -r collector now; do
    goal=$(awk -v id="$collector" '$1 == id { print $2 }' <<<"$goals")
    if [ -n "$goal" ] && [ "$goal" -lt "$now" ]; then offsets set "$collector" "$goal"; fi
  done <<<"$current"
  may_start=true
  # They remember what was in the other one.
  kube rollout restart deployment/api statefulset/collector >/dev/null
fi
echo "InfluxDB starts"
