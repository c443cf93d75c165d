#!/usr/bin/env bash
# From nothing to data: a KIND cluster with the whole pipeline, reading a CSV file. Run again it changes what has changed (the file,
# the image, the chart, the values) and nothing else.
#
# CSV_FILE   the file to read (the project's sample)      VALUES   further files of values for the chart
# CONTAINER_ENGINE   docker or podman                     CLUSTER, NAMESPACE, RELEASE, IMAGE   names
# Paths are absolute, or relative to the project's folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/kind/settings.sh
. "$here/settings.sh"

step "What is needed"
where_from() {
  case $1 in
    docker) echo https://docs.docker.com/get-docker/ ;;
    podman) echo https://podman.io/docs/installation ;;
    kind) echo 'https://kind.sigs.k8s.io/docs/user/quick-start/#installation' ;;
    kubectl) echo https://kubernetes.io/docs/tasks/tools/ ;;
    helm) echo https://helm.sh/docs/intro/install/ ;;
    curl) echo https://curl.se/download.html ;;
    *) echo 'CONTAINER_ENGINE is docker or podman' ;;
  esac
}
missing=
for tool in "$CONTAINER_ENGINE" kind kubectl helm curl; do
  command -v "$tool" >/dev/null || missing="$missing
  $tool: $(where_from "$tool")"
done
[ -z "$missing" ] || fail "not found:$missing"
"$CONTAINER_ENGINE" info >/dev/null 2>&1 || fail "$CONTAINER_ENGINE is there but does not answer: start it"
if [ ! -r "$CSV_FILE" ] || [ ! -s "$CSV_FILE" ]; then fail "CSV_FILE=$CSV_FILE: no file that can be read, or an empty one"; fi
echo "$CONTAINER_ENGINE, kind, kubectl, helm and curl are there"

step "The file: $CSV_FILE"
data=deploy/kind/data/dcgm_metrics.csv
mkdir -p "${data%/*}"
chmod 755 "${data%/*}"
replaced=false
if ! cmp -s "$CSV_FILE" "$data"; then
  [ ! -e "$data" ] || replaced=true
  cp "$CSV_FILE" "$data.new"
  chmod 644 "$data.new" # the streamers are somebody else
  mv "$data.new" "$data"
fi

step "The cluster: $CLUSTER"
# Read to its end: with `grep -q` at the end of a pipe kind could be cut off, which counts as a failure here.
clusters=$(kind get clusters 2>/dev/null) || fail "kind can't list its clusters"
if grep -qxF "$CLUSTER" <<<"$clusters"; then
  echo "is there"
  kind export kubeconfig --name "$CLUSTER"
else
  kind create cluster --name "$CLUSTER" --config deploy/kind/cluster.yaml --wait 5m
fi
[ "$("$CONTAINER_ENGINE" exec "$CLUSTER-control-plane" cksum /data/dcgm_metrics.csv | cut -d ' ' -f 1,2)" = "$(cksum "$data" | cut -d ' ' -f 1,2)" ] ||
  fail "the node has another /data than $root/deploy/kind/data: it was not made from here; make kind-delete takes it away, with its data"

step "The image: $IMAGE:$VERSION"
"$here/image.sh" build
tag=$("$here/image.sh" load)

step "The chart"
"$here/deploy.sh" "$tag"
if [ "$replaced" = true ]; then
  # They would see it at the end of a pass, or never if the file is read once.
  kube rollout restart statefulset/streamer
  kube rollout status statefulset/streamer --timeout "$TIMEOUT"
fi

step "Data"
for _ in $(seq 150); do
  stats=$(curl --silent --max-time 5 "$API_URL/api/v1/stats" || true)
  [[ ! $stats =~ \"total_metrics\":[1-9] ]] || break
  sleep 2
done
if [[ ! $stats =~ \"total_metrics\":[1-9] ]]; then
  kube get pods >&2
  fail "nothing is stored yet, see kubectl --context $CONTEXT --namespace $NAMESPACE logs statefulset/streamer (and collector, mq-server)"
fi
cat <<END
$stats

REST, Swagger UI   $API_URL/swagger/
GPUs               $API_URL/api/v1/gpus
InfluxDB           $INFLUXDB_URL (user admin, password: kubectl --context $CONTEXT --namespace $NAMESPACE get secret gpu-telemetry-secret --output jsonpath='{.data.INFLUXDB_PASSWORD}' | base64 --decode)
what runs          make k8s-status
checks             make integration-test-kind
another file       make kind-setup CSV_FILE=metrics.csv
take it away       make kind-delete
END
