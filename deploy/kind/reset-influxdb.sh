#!/usr/bin/env bash
# Takes away all that InfluxDB holds, and gives it a new and empty volume. Nothing else is touched: the token stays, and what the
# broker's log still holds beyond the collectors' checkpoints is stored next.
set -euo pipefail
# shellcheck source=deploy/kind/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

kube delete deployment influxdb --wait
kube delete persistentvolumeclaim influxdb-pvc --wait
# Puts back what is missing, and sets it up: each revision has a job for that.
release upgrade "$RELEASE" deploy/helm/telemetry-pipeline --reuse-values --wait --timeout "$TIMEOUT"
# They know what they stored in the old one.
kube rollout restart deployment/api statefulset/collector
kube rollout status deployment/api --timeout "$TIMEOUT"
kube rollout status statefulset/collector --timeout "$TIMEOUT"
