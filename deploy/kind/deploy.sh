#!/usr/bin/env bash
# deploy.sh TAG: installs the chart with the image of that tag, or upgrades to it, and waits until everything is ready. The namespace
# is made where it is missing, and lets in no pod that is less than PodSecurity's `restricted`.
set -euo pipefail
# shellcheck source=deploy/kind/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
[ $# = 1 ] || fail "which tag of the image?"

kube get namespace "$NAMESPACE" >/dev/null 2>&1 || kube create namespace "$NAMESPACE"
kube label namespace "$NAMESPACE" --overwrite pod-security.kubernetes.io/enforce=restricted >/dev/null
files=(--values deploy/kind/values.yaml)
for file in $VALUES; do files+=(--values "$file"); done
release upgrade --install "$RELEASE" deploy/helm/telemetry-pipeline "${files[@]}" \
  --set "image.repository=$IMAGE" --set-string "image.tag=$1" --wait --timeout "$TIMEOUT"
