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
Annotations that restart pods when what they read has changed: the ConfigMap, and secrets that were given. Generated ones never
change, and are no part of it, as they differ in each rendering without a cluster.
*/}}
{{- define "telemetry-pipeline.podAnnotations" -}}
checksum/config: {{ include "telemetry-pipeline.sharedConfig" .root | sha256sum }}
{{- with .root.Values.secret }}
checksum/secret: {{ list .existingSecret .influxdbToken .mqToken | toJson | sha256sum }}
{{- end }}
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
# are no part of the heap.
- name: NODE_OPTIONS
  value: --max-old-space-size={{ div (mul (include "telemetry-pipeline.bytes" .values.resources.limits.memory | int64) .heapPercent) 104857600 }}
{{- range $name, $value := .values.config }}
- name: {{ $name }}
  value: {{ include "telemetry-pipeline.text" $value | quote }}
{{- end }}
{{- end }}

{{- define "telemetry-pipeline.fromSecret" -}}
- name: {{ .key }}
  valueFrom:
    secretKeyRef:
      name: {{ include "telemetry-pipeline.secretName" .root }}
      key: {{ .key }}
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
  # Ten minutes: a broker reads its log before it is there.
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
