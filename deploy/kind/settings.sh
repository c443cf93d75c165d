#!/usr/bin/env bash
# What the scripts of this folder go by, unless the environment says otherwise. The Makefile has the same defaults.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit 1
: "${CLUSTER:=gpu-telemetry}"
: "${NAMESPACE:=gpu-telemetry}"
: "${RELEASE:=telemetry-pipeline}"
# A name that Docker and Podman understand alike, and that no registry is asked for.
: "${IMAGE:=localhost/telemetry-pipeline}"
: "${VERSION:=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)}"
: "${CONTAINER_ENGINE:=docker}"
: "${CSV_FILE:=deploy/sample/dcgm_metrics.csv}"
# Further files of values, separated by spaces; the last one wins.
: "${VALUES:=}"
# Named in every call, so that nothing is ever done to whatever cluster kubectl happens to point to.
: "${CONTEXT:=kind-$CLUSTER}"
: "${API_URL:=http://localhost:30080}"
: "${INFLUXDB_URL:=http://localhost:30086}"
: "${TIMEOUT:=10m}"
export KIND_EXPERIMENTAL_PROVIDER=$CONTAINER_ENGINE
export API_URL INFLUXDB_URL

kube() { kubectl --context "$CONTEXT" --namespace "$NAMESPACE" "$@"; }
release() { helm --kube-context "$CONTEXT" --namespace "$NAMESPACE" "$@"; }
step() { printf '\n== %s\n' "$*"; }
fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}
