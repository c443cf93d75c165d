{{/* A value of the program as text. Helm reads large integers as floats, which would be written as 1e+10. */}}
{{- define "telemetry-pipeline.text" -}}
{{- if kindIs "float64" . -}}
{{- if eq . (floor .) }}{{ printf "%.0f" . }}{{ else }}{{ . }}{{ end -}}
{{- else -}}
{{ . }}
{{- end -}}
{{- end }}

{{/* Bytes of a quantity of Kubernetes (10Gi) or a size of the program (8GiB, 1000). */}}
{{- define "telemetry-pipeline.bytes" -}}
{{- $text := include "telemetry-pipeline.text" . -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $text -}}
{{- $unit := trimPrefix $number $text | trim | lower | trimSuffix "b" -}}
{{- $units := dict "" 1 "k" 1000 "m" 1000000 "g" 1000000000 "t" 1000000000000 "ki" 1024 "mi" 1048576 "gi" 1073741824 "ti" 1099511627776 -}}
{{- if or (not $number) (not (hasKey $units $unit)) -}}
{{- fail (printf "%q is no size that this chart can read: expected a number and one of Ki, Mi, Gi, Ti, k, M, G, T" $text) -}}
{{- end -}}
{{ printf "%.0f" (mulf (float64 $number) (get $units $unit)) }}
{{- end }}

{{/* Whole seconds, rounded up, of a duration such as 20s, 1m30s or 500ms. */}}
{{- define "telemetry-pipeline.seconds" -}}
{{- $text := include "telemetry-pipeline.text" . -}}
{{- $units := dict "ms" 0.001 "s" 1 "m" 60 "h" 3600 -}}
{{- if not (regexMatch "^(0|([0-9]*[.]?[0-9]+(ms|s|m|h))+)$" $text) -}}
{{- fail (printf "DRAIN_TIMEOUT: %q is not accepted, expected a duration such as 20s or 1m30s" $text) -}}
{{- end -}}
{{- $seconds := 0.0 -}}
{{- range regexFindAll "[0-9.]+(ms|s|m|h)" $text -1 -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $seconds = addf $seconds (mulf (float64 $number) (get $units (trimPrefix $number .))) -}}
{{- end -}}
{{ ceil $seconds | int64 }}
{{- end }}
