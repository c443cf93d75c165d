{{/* What every pod has beside its containers. Takes {root, values, user}: the component's values, and whom it runs as. */}}
{{- define "telemetry-pipeline.pod" -}}
{{- $root := .root -}}
serviceAccountName: {{ include "telemetry-pipeline.serviceAccountName" $root }}
automountServiceAccountToken: false
# Kubernetes would set API_PORT to the address of the Service api.
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "telemetry-pipeline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/*
Annotations that restart pods when the ConfigMap has changed. Secrets are no part of it: who may read pods could try guesses
against a sum of theirs.
*/}}
{{- define "telemetry-pipeline.podAnnotations" -}}
checksum/config: {{ include "telemetry-pipeline.sharedConfig" .root | sha256sum }}
{{- with .values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Image and restrictions of a container of ours. */}}
{{- define "telemetry-pipeline.program" -}}
image: {{ include "telemetry-pipeline.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- include "telemetry-pipeline.containerSecurity" . | nindent 2 }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
{{- end }}

{{/* Variables of one component: its own settings, and how much of its memory is the heap's. Takes {root, values, heapPercent}. */}}
{{- define "telemetry-pipeline.componentEnv" -}}
# Node takes its heap from what it believes the machine has; beyond the limit the kernel kills. The rest is for buffers, which
# are no part of the heap. The warning is of InfluxDB's client, as in the image, whose options these replace.
- name: NODE_OPTIONS
  value: --disable-warning=DEP0169 --max-old-space-size={{ div (mul (include "telemetry-pipeline.bytes" .values.resources.limits.memory | int64) .heapPercent) 104857600 }}
{{- range $name, $value := .values.config }}
- name: {{ $name }}
  value: {{ include "telemetry-pipeline.text" $value | quote }}
{{- end }}
{{- end }}

{{/* A variable out of the Secret, by the name of its key unless another one is given. Takes {root, key}, and name. */}}
{{- define "telemetry-pipeline.fromSecret" -}}
- name: {{ .name | default .key }}
  valueFrom:
    secretKeyRef:
      name: {{ include "telemetry-pipeline.secretName" .root }}
      key: {{ .key }}
{{- end }}

{{/* How a collector or gateway is let in to InfluxDB. */}}
{{- define "telemetry-pipeline.influxdbAccess" -}}
{{ include "telemetry-pipeline.fromSecret" (dict "root" . "name" "INFLUXDB_TOKEN" "key" (include "telemetry-pipeline.influxdbTokenKey" .)) }}
{{- end }}

{{/* How a streamer or collector reaches the broker beyond its address. */}}
{{- define "telemetry-pipeline.brokerAccess" -}}
{{- if .Values.mqServer.auth.enabled }}
{{ include "telemetry-pipeline.fromSecret" (dict "root" . "key" "MQ_TOKEN") }}
{{- end }}
{{- if .Values.mqServer.tls.secretName }}
- name: MQ_TLS_CA
  value: /tls/ca.crt
{{- end }}
{{- end }}

{{/*
Seconds until a pod is killed: its drain, what goes before it, and a margin in which the program says what it did not end.
Takes {root, values}, and secondsBefore where there is something.
*/}}
{{- define "telemetry-pipeline.gracePeriodSeconds" -}}
{{- $drain := dig "config" "DRAIN_TIMEOUT" .root.Values.config.DRAIN_TIMEOUT .values -}}
{{ add (include "telemetry-pipeline.seconds" ($drain | default "20s") | int64) (.secondsBefore | default 0) 10 }}
{{- end }}

{{/*
Probes. Alive is a process that answers /health: a full disk and an InfluxDB that is away make it unready, and a restart would mend
neither. Takes the name of a port.
*/}}
{{- define "telemetry-pipeline.probes" -}}
startupProbe:
  httpGet: { path: /health, port: http }
  periodSeconds: 2
  timeoutSeconds: 5
  # Ten minutes, far beyond what a start takes: a broker answers while it still reads its log. They are for nodes on which
  # everything starts at once.
  failureThreshold: 300
livenessProbe:
  httpGet: { path: /health, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /ready, port: http }
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{/* The certificate of the authority of the broker's certificate, and nothing else of its Secret. */}}
{{- define "telemetry-pipeline.authorityVolume" -}}
{{- with .Values.mqServer.tls.secretName -}}
- name: tls
  secret:
    secretName: {{ . }}
    items:
      - { key: ca.crt, path: ca.crt }
{{- end }}
{{- end }}
