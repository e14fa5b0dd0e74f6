{{/* What everything is called: the names that the server itself uses. */}}
{{- define "verdict.installation" -}}
{{- if .Values.instance }}verdict-{{ .Values.instance }}{{ else }}verdict{{ end }}
{{- end }}

{{- define "verdict.selector" -}}
app.kubernetes.io/name: verdict
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "verdict.labels" -}}
{{ include "verdict.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Of policies: which installation takes them. */}}
{{- define "verdict.policyLabels" -}}
{{ include "verdict.labels" . }}
{{- with .Values.instance }}
verdict.dev/instance: {{ . }}
{{- end }}
{{- end }}

{{- define "verdict.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{/* The Secret that is mounted, if one is. */}}
{{- define "verdict.certificates" -}}
{{- if eq .Values.certificates.mode "certManager" }}{{ include "verdict.installation" . }}-tls{{ end }}
{{- if eq .Values.certificates.mode "secret" }}{{ required "certificates.secretName: which Secret?" .Values.certificates.secretName }}{{ end }}
{{- end }}

{{/* MiB: the ceiling that the server prints when it starts (manifests/README.md, More than it can do), with 512 for the program, what it
     keeps of the cluster, and the compiler beside it. */}}
{{- define "verdict.memory" -}}
{{- $c := .Values.capacity }}
{{- $bodies := div (mul 5 (int $c.bodiesMiB)) 4 }}
{{- $connections := div (mul 352 (int $c.connections)) 1024 }}
{{- add (int $c.guestMemoryMiB) (int $c.instances) $bodies 544 $connections 64 512 }}Mi
{{- end }}

{{- define "verdict.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "verdict.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Where Pods run, of Jobs as well. */}}
{{- define "verdict.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* matchConstraints of all namespaces but these. */}}
{{- define "verdict.except" -}}
{{- with . }}
    namespaceSelector:
      matchExpressions:
      - {key: kubernetes.io/metadata.name, operator: NotIn, values: {{ toJson . }}}
{{- end }}
{{- end }}
