{{/* Lets pods of a component resolve names. */}}
{{- define "telemetry-pipeline.dnsEgress" -}}
- to:
    {{- toYaml .Values.networkPolicy.dnsTo | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - { port: {{ . }}, protocol: UDP }
    - { port: {{ . }}, protocol: TCP }
    {{- end }}
{{- end }}

{{/* The pods of components of this release, as peers. Takes {root, components}. */}}
{{- define "telemetry-pipeline.peers" -}}
{{- range $index, $component := .components }}
{{- if $index }}
{{ end -}}
- podSelector:
    matchLabels:
      {{- include "telemetry-pipeline.selector" (dict "root" $.root "component" $component) | nindent 6 }}
{{- end }}
{{- end }}

{{/* A rule for peers that values name; without any there is no rule, as an empty one would let in everybody. Takes {peers, port}. */}}
{{- define "telemetry-pipeline.ingressFrom" -}}
{{- with .peers -}}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    - port: {{ $.port }}
{{- end }}
{{- end }}

{{/* Where InfluxDB is: the release's own, or the port of its URL at the places that values name, else anywhere. */}}
{{- define "telemetry-pipeline.influxdbEgress" -}}
{{- if .Values.influxdb.enabled -}}
- to:
    {{- include "telemetry-pipeline.peers" (dict "root" . "components" (list "influxdb")) | nindent 4 }}
  ports:
    - port: 8086
{{- else -}}
{{- $url := urlParse .Values.influxdb.url -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (eq $url.scheme "https" | ternary "443" "80") -}}
- ports:
    - port: {{ $port }}
  {{- with .Values.networkPolicy.influxdbTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "telemetry-pipeline.brokerEgress" -}}
- to:
    {{- include "telemetry-pipeline.peers" (dict "root" . "components" (list "broker")) | nindent 4 }}
  ports:
    - port: 9000
{{- end }}

{{/* How the policy of a component's pods begins. Takes {root, component}. */}}
{{- define "telemetry-pipeline.policyOf" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .component }}
  labels:
    {{- include "telemetry-pipeline.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "telemetry-pipeline.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end }}
