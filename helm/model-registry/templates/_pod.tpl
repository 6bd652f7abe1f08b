{{/* What the pods of web and worker share. Called with (dict "root" $ "component" "web" "values" .Values.web). */}}

{{- define "model-registry.podMetadata" -}}
{{- $root := .root -}}
annotations:
  checksum/config: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
  checksum/secret: {{ include (print $root.Template.BasePath "/secret.yaml") $root | sha256sum }}
  {{- with $root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
labels:
  {{- include "model-registry.labels" $root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  {{- with $root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "model-registry.podSecurity" -}}
automountServiceAccountToken: false
{{- /* Without this a Service called model-registry would put MODEL_REGISTRY_PORT and the like into our settings. */}}
enableServiceLinks: false
{{- /* Process 1 ignores a SIGTERM that it has no handler for yet, so loading could not be interrupted. */}}
shareProcessNamespace: true
securityContext:
  runAsNonRoot: true
  {{- with .Values.runAsUser }}
  runAsUser: {{ . | int64 }}
  {{- end }}
  {{- with .Values.runAsGroup }}
  runAsGroup: {{ . | int64 }}
  {{- end }}
  {{- with .Values.fsGroup }}
  fsGroup: {{ . | int64 }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
serviceAccountName: {{ include "model-registry.serviceAccountName" . }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "model-registry.containerSecurity" -}}
image: {{ include "model-registry.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "model-registry.scheduling" -}}
{{- $call := . -}}
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
  {{- range . }}
  - {{ toYaml . | nindent 4 | trim }}
    {{- if not (hasKey . "labelSelector") }}
    labelSelector:
      matchLabels:
        {{- include "model-registry.selectorLabels" $call.root | nindent 8 }}
        app.kubernetes.io/component: {{ $call.component }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "model-registry.environment" -}}
envFrom:
  - configMapRef:
      name: {{ include "model-registry.fullname" . }}
env:
  - name: MODEL_REGISTRY_DATABASE_URL
    valueFrom:
      secretKeyRef:
        {{- if .Values.database.existingSecret.name }}
        name: {{ .Values.database.existingSecret.name }}
        key: {{ .Values.database.existingSecret.key }}
        {{- else }}
        name: {{ include "model-registry.fullname" . }}
        key: database-url
        {{- end }}
  - name: MODEL_REGISTRY_S3_ACCESS_KEY
    valueFrom:
      secretKeyRef:
        {{- if .Values.s3.existingSecret.name }}
        name: {{ .Values.s3.existingSecret.name }}
        key: {{ .Values.s3.existingSecret.accessKeyKey }}
        {{- else }}
        name: {{ include "model-registry.fullname" . }}
        key: access-key
        {{- end }}
  - name: MODEL_REGISTRY_S3_SECRET_KEY
    valueFrom:
      secretKeyRef:
        {{- if .Values.s3.existingSecret.name }}
        name: {{ .Values.s3.existingSecret.name }}
        key: {{ .Values.s3.existingSecret.secretKeyKey }}
        {{- else }}
        name: {{ include "model-registry.fullname" . }}
        key: secret-key
        {{- end }}
  - name: MODEL_REGISTRY_SECRET_KEY
    valueFrom:
      secretKeyRef:
        {{- if .Values.webhooks.existingSecret.name }}
        name: {{ .Values.webhooks.existingSecret.name }}
        key: {{ .Values.webhooks.existingSecret.key }}
        {{- else }}
        name: {{ include "model-registry.fullname" . }}
        key: webhook-key
        {{- if not .Values.webhooks.secretKey }}
        optional: true
        {{- end }}
        {{- end }}
  - name: MODEL_REGISTRY_SIGNING_KEY
    valueFrom:
      secretKeyRef:
        name: {{ .Values.signing.existingSecret.name | default (include "model-registry.fullname" .) }}
        key: {{ .Values.signing.existingSecret.key }}
        {{- if not .Values.signing.existingSecret.name }}
        optional: true
        {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The owner's database, for the migration alone: a process that serves must not hold it. */}}
{{- define "model-registry.owner" -}}
{{- with .Values.database.migration }}
{{- if or .url .existingSecret.name }}
- name: MODEL_REGISTRY_MIGRATION_DATABASE_URL
  valueFrom:
    secretKeyRef:
      {{- if .existingSecret.name }}
      name: {{ .existingSecret.name }}
      key: {{ .existingSecret.key }}
      {{- else }}
      name: {{ include "model-registry.fullname" $ }}-migration
      key: database-url
      {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "model-registry.volumeMounts" -}}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "model-registry.volumes" -}}
volumes:
  - name: tmp
    {{- if .values.tmpSizeLimit }}
    emptyDir:
      sizeLimit: {{ .values.tmpSizeLimit }}
    {{- else }}
    emptyDir: {}
    {{- end }}
  {{- with .root.Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "model-registry.migrate" -}}
{{- if .root.Values.migrations.onStart }}
initContainers:
  - name: migrate
    {{- include "model-registry.containerSecurity" .root | nindent 4 }}
    args: [migrate, --if-needed]
    {{- include "model-registry.environment" .root | nindent 4 }}
      {{- include "model-registry.owner" .root | nindent 6 }}
    resources:
      {{- toYaml .values.resources | nindent 6 }}
    {{- include "model-registry.volumeMounts" .root | nindent 4 }}
{{- end }}
{{- end -}}
