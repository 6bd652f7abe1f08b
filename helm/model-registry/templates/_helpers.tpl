{{- define "model-registry.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 50 characters, so that a suffix still fits into a label. */}}
{{- define "model-registry.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "model-registry.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "model-registry.selectorLabels" -}}
app.kubernetes.io/name: {{ include "model-registry.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "model-registry.labels" -}}
{{ include "model-registry.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "model-registry.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "model-registry.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "model-registry.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The host names of the hosted registry: where users find it, where the cluster does, and a port-forward. */}}
{{- define "model-registry.allowedHosts" -}}
{{- $service := include "model-registry.fullname" . -}}
{{- $public := regexReplaceAll ":[0-9]+$" (urlParse .Values.publicUrl).host "" -}}
{{- $inside := printf "%s.%s" $service .Release.Namespace -}}
{{- $cluster := list $service $inside (printf "%s.svc" $inside) (printf "%s.svc.cluster.local" $inside) -}}
{{- concat (list $public) $cluster (list "localhost" "127.0.0.1" "[::1]") .Values.allowedHosts | join "," -}}
{{- end -}}

{{/* Fails and names everything that is missing at once. No value is repeated: some are secret. */}}
{{- define "model-registry.validate" -}}
{{- $problems := list -}}
{{- $values := .Values -}}
{{- if not $values.publicUrl -}}
{{- $problems = append $problems "publicUrl is not set" -}}
{{- end -}}
{{- if and $values.database.url $values.database.existingSecret.name -}}
{{- $problems = append $problems "database.url and database.existingSecret.name are both set: give one" -}}
{{- else if not (or $values.database.url $values.database.existingSecret.name) -}}
{{- $problems = append $problems "the database is missing: set database.url or database.existingSecret.name" -}}
{{- end -}}
{{- if and $values.database.migration.url $values.database.migration.existingSecret.name -}}
{{- $problems = append $problems "database.migration.url and database.migration.existingSecret.name are both set: give one" -}}
{{- end -}}
{{- if not $values.s3.endpoint -}}
{{- $problems = append $problems "s3.endpoint is not set" -}}
{{- end -}}
{{- if not $values.s3.bucket -}}
{{- $problems = append $problems "s3.bucket is not set" -}}
{{- end -}}
{{- if and (or $values.s3.accessKey $values.s3.secretKey) $values.s3.existingSecret.name -}}
{{- $problems = append $problems "s3.accessKey or s3.secretKey is set beside s3.existingSecret.name: give one or the other" -}}
{{- else if not (or (and $values.s3.accessKey $values.s3.secretKey) $values.s3.existingSecret.name) -}}
{{- $problems = append $problems "the S3 keys are missing: set s3.accessKey and s3.secretKey, or s3.existingSecret.name" -}}
{{- end -}}
{{- if and $values.webhooks.secretKey $values.webhooks.existingSecret.name -}}
{{- $problems = append $problems "webhooks.secretKey and webhooks.existingSecret.name are both set: give one" -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n- %s\n" (join "\n- " $problems)) -}}
{{- end -}}
{{- end -}}
