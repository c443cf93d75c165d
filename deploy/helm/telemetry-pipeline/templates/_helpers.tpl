{{/* Labels by which pods are found; they never change. Takes {root, component}. */}}
{{- define "telemetry-pipeline.selector" -}}
app.kubernetes.io/name: telemetry-pipeline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of a pod of ours: those of the selector, and what else changes with the program alone. */}}
{{- define "telemetry-pipeline.podLabels" -}}
{{ include "telemetry-pipeline.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: gpu-telemetry
{{- end }}

{{/* Labels of any object, with a component where it is one's. */}}
{{- define "telemetry-pipeline.labels" -}}
app.kubernetes.io/name: telemetry-pipeline
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: gpu-telemetry
{{- end }}

{{- define "telemetry-pipeline.image" -}}
{{- $image := .Values.image -}}
{{- if and (eq $image.tag "latest") (not $image.digest) -}}
{{- fail (printf "the tag latest of the image %s says nothing of what runs: name a version, or a digest" $image.repository) -}}
{{- end -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "telemetry-pipeline.secretName" -}}
{{ .Values.secret.existingSecret | default "gpu-telemetry-secret" }}
{{- end }}

{{/*
The Secret's key of the token that applies. That of an InfluxDB of one's own has a key beside the one that the release's own
InfluxDB knows, which has to outlast it; in a Secret of one's own there is but one.
*/}}
{{- define "telemetry-pipeline.influxdbTokenKey" -}}
{{- if or .Values.influxdb.enabled .Values.secret.existingSecret -}}
INFLUXDB_TOKEN
{{- else -}}
EXTERNAL_INFLUXDB_TOKEN
{{- end -}}
{{- end }}

{{/* Refuses a Secret of one's own that is there without a key. Takes {root, value, name, keys}. */}}
{{- define "telemetry-pipeline.checkSecretKeys" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace .name -}}
{{- range $key := .keys -}}
{{- if and $found (not (hasKey ($found.data | default dict) $key)) -}}
{{- fail (printf "%s: the Secret %s has no key %s" $.value $.name $key) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "telemetry-pipeline.influxdbUrl" -}}
{{- if .Values.influxdb.enabled -}}
http://influxdb:8086
{{- else -}}
{{ required "influxdb.enabled is false: influxdb.url has to say where an InfluxDB of your own is" .Values.influxdb.url }}
{{- end -}}
{{- end }}

{{- define "telemetry-pipeline.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default "telemetry-pipeline" }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{/* A claim of its own for each folder and choice of nodes, as a volume can't be changed: see streamer.csv. */}}
{{- define "telemetry-pipeline.csvClaim" -}}
{{- $csv := .Values.streamer.csv -}}
{{- $csv.existingClaim | default (printf "gpu-telemetry-csv-%s" (dict "path" $csv.hostPath "nodes" $csv.nodes | toJson | sha256sum | trunc 8)) -}}
{{- end }}
