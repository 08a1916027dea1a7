{{- define "al.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of one part: (dict "root" $ "part" "server"). */}}
{{- define "al.part" -}}
{{ include "al.labels" .root }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "al.secret" -}}
{{ .Values.existingSecret | default .Release.Name }}
{{- end -}}

{{- define "al.claim" -}}
{{ .Values.data.existingClaim | default (printf "%s-data" .Release.Name) }}
{{- end -}}

{{/* What a pod may do is little. */}}
{{- define "al.container-security" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "al.pod-security" -}}
runAsNonRoot: true
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* A check that docker-compose.yml makes too: seconds between looks, for an answer, of grace at the start, and how often it
     may fail: (list COMMAND 15 10 30 3). */}}
{{- define "al.probes" -}}
{{- $command := printf "exec: {command: %s}" (index . 0 | toJson) -}}
startupProbe:
  {{ $command }}
  periodSeconds: {{ index . 1 }}
  timeoutSeconds: {{ index . 2 }}
  failureThreshold: {{ add (div (index . 3) (index . 1)) (index . 4) }}
livenessProbe:
  {{ $command }}
  periodSeconds: {{ index . 1 }}
  timeoutSeconds: {{ index . 2 }}
  failureThreshold: {{ index . 4 }}
{{- end -}}

{{/* The environment of server and workers. */}}
{{- define "al.environment" -}}
{{- $given := dict "HOST" "0.0.0.0" "PORT" "9090" -}}
{{- $_ := set $given "LABEL_STUDIO_URL" (required "labelStudio.url: where the plugin reaches Label Studio" .Values.labelStudio.url) -}}
{{- $_ := set $given "BACKEND_URL" (.Values.backendUrl | default (printf "http://%s-server.%s.svc:9090" .Release.Name .Release.Namespace)) -}}
{{- $_ := set $given "BASIC_AUTH_USER" .Values.basicAuth.user -}}
{{- $_ := set $given "STORE" .Values.store.url -}}
{{- if not .Values.redis.url -}}
{{- $_ := set $given "REDIS_URL" (printf "redis://%s-redis:6379/0" .Release.Name) -}}
{{- end -}}
{{- $own := list "LABEL_STUDIO_API_KEY" "BASIC_AUTH_PASS" "REDIS_URL" "DATA_DIR" -}}
{{- range $name, $value := .Values.settings -}}
{{- if or (hasKey $given $name) (has $name $own) -}}
{{- fail (printf "settings.%s: the chart has a value of its own for it" $name) -}}
{{- end -}}
{{- $_ := set $given $name (toString $value) -}}
{{- end -}}
{{- range $name, $value := $given }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- range $name := ternary (list "LABEL_STUDIO_API_KEY" "BASIC_AUTH_PASS" "REDIS_URL") (list "LABEL_STUDIO_API_KEY" "BASIC_AUTH_PASS") (ne .Values.redis.url "") }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ ternary (printf "%s-redis" $.Release.Name) (include "al.secret" $) (eq $name "REDIS_URL") }}, key: {{ $name }}}}
{{- end }}
{{- end -}}

{{/* A Deployment of the plugin: (dict "root" $ "part" "worker" "values" .Values.worker "replicas" 1 "arguments" LIST "grace" 60
     "probes" LIST "port" 0 "strategy" "RollingUpdate"). */}}
{{- define "al.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .root.Release.Name }}-{{ .part }}
  labels: {{- include "al.part" . | nindent 4 }}
spec:
  {{- with .replicas }}
  replicas: {{ . }}
  {{- end }}
  selector:
    matchLabels: {{- include "al.part" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "al.part" . | nindent 8 }}
      annotations:
        checksum/secrets: {{ include (print .root.Template.BasePath "/secrets.yaml") .root | sha256sum }}
    spec:
      automountServiceAccountToken: false
      {{- with .root.Values.serviceAccount }}
      serviceAccountName: {{ . }}
      {{- end }}
      enableServiceLinks: false
      shareProcessNamespace: true  # so that a process of Kubernetes' own, not ours, is the first, which buries the dead
      terminationGracePeriodSeconds: {{ .grace }}
      securityContext: {{- include "al.pod-security" (dict "user" 1000) | nindent 8 }}
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .part }}
          image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: {{ .arguments | toJson }}
          env: {{- include "al.environment" .root | trim | nindent 12 }}
          {{- with .root.Values.store.existingSecret }}
          envFrom: [{secretRef: {name: {{ . }}}}]
          {{- end }}
          {{- with .port }}
          ports: [{name: http, containerPort: {{ . }}}]
          {{- end }}
          {{- include "al.probes" .probes | nindent 10 }}
          resources:
            {{- $limits := .values.resources.limits | default dict }}
            {{- if .values.gpus }}
            {{- $limits = merge (dict "nvidia.com/gpu" .values.gpus) $limits }}
            {{- end }}
            {{- toYaml (merge (dict "limits" $limits) .values.resources) | nindent 12 }}
          securityContext: {{- include "al.container-security" . | nindent 12 }}
          volumeMounts:
            - {name: data, mountPath: /data, subPath: data}
            - {name: data, mountPath: /weights, subPath: weights}
      volumes:
        - name: data
          {{- if .root.Values.store.url }}
          emptyDir: {}  # copies of what the store holds
          {{- else }}
          persistentVolumeClaim: {claimName: {{ include "al.claim" .root }}}
          {{- end }}
{{- end -}}
