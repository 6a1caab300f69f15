{{- define "conduit.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "conduit.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "conduit.labels" -}}
{{ include "conduit.selectorLabels" . }}
app.kubernetes.io/part-of: {{ .Chart.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "conduit.modelsName" -}}
{{- .Values.models.existingConfigMap | default (printf "%s-models" (include "conduit.fullname" .)) -}}
{{- end -}}

{{/* The sum of the limits: terminating connections (1 s) and the flush (0.5 s) have no setting. */}}
{{- define "conduit.terminationGrace" -}}
{{- with .Values.shutdown -}}
{{- if ge (float64 .settleSeconds) (float64 .drainSeconds) -}}
{{- fail "shutdown.settleSeconds has to be less than shutdown.drainSeconds, which includes it" -}}
{{- end -}}
{{- ceil (addf .drainSeconds .persistSeconds .closeSeconds 1.5 .marginSeconds) -}}
{{- end -}}
{{- end -}}

{{/* Read when a pod starts; a change of it makes new pods. */}}
{{- define "conduit.settings" -}}
CONDUIT_CONFIG: /etc/conduit/conduit.yaml
CONDUIT_PORT: "8000"
CONDUIT_WORKERS: {{ .Values.workers | quote }}
CONDUIT_SHUTDOWN_TIMEOUT: {{ .Values.shutdown.drainSeconds }} seconds
CONDUIT_SHUTDOWN_SETTLE: {{ .Values.shutdown.settleSeconds }} seconds
CONDUIT_SHUTDOWN_PERSIST_TIMEOUT: {{ .Values.shutdown.persistSeconds }} seconds
CONDUIT_SHUTDOWN_CLOSE_TIMEOUT: {{ .Values.shutdown.closeSeconds }} seconds
CONDUIT_TERMINATION_GRACE: {{ include "conduit.terminationGrace" . }} seconds
{{- range $name, $value := .Values.settings }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}
