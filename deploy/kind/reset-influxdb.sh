#!/usr/bin/env bash
# Takes away all that InfluxDB holds, and gives it a new and empty volume. Nothing else is touched: the token stays, and what the
# broker's log still holds beyond the collectors' checkpoints is stored next. Run again, it goes on where it was cut short.
set -euo pipefail
# shellcheck source=deploy/kind/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

# Nothing is deleted unless it is the chart's own, and can be put back.
claim=$(kube get deployment influxdb --ignore-not-found \
  --output 'jsonpath={.spec.template.spec.volumes[?(@.name=="data")].persistentVolumeClaim.claimName}')
case $claim in
  influxdb-pvc | "") ;; # none is what a run that was cut short leaves
  *) fail "InfluxDB's claim is $claim, which the chart does not own: nothing was deleted" ;;
esac
upgrade=(upgrade "$RELEASE" deploy/helm/telemetry-pipeline --reset-then-reuse-values --timeout "$TIMEOUT")
rendered=$(release "${upgrade[@]}" --dry-run=server) || fail "the release can't be upgraded: nothing was deleted"
awk '/^kind: / { kind = $2 } /^  name: influxdb-pvc$/ && kind == "PersistentVolumeClaim" { found = 1 } END { exit !found }' <<<"$rendered" ||
  fail "the chart would make no claim influxdb-pvc for this release: nothing was deleted"

kube delete deployment influxdb --ignore-not-found --wait
kube delete persistentvolumeclaim influxdb-pvc --ignore-not-found --wait
# Puts back what is missing, and sets it up: each revision has a job for that.
release "${upgrade[@]}" --wait
# They know what they stored in the old one.
kube rollout restart deployment/api statefulset/collector
kube rollout status deployment/api --timeout "$TIMEOUT"
kube rollout status statefulset/collector --timeout "$TIMEOUT"
