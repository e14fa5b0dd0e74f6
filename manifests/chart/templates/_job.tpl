{{/* A Job of the program around a change of the release, with rights of its own that go with it. Takes root, name, hook, args, rules of the
     cluster and rules of the namespace. */}}
{{- define "verdict.job" -}}
{{- $root := .root }}
{{- $namespace := .root.Release.Namespace }}
{{- $name := printf "%s-%s" (include "verdict.installation" .root) .name }}
{{- $annotations := printf "helm.sh/hook: %s\nhelm.sh/hook-weight: \"-5\"\nhelm.sh/hook-delete-policy: before-hook-creation,hook-succeeded" .hook }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
  labels: {{- include "verdict.labels" $root | nindent 4 }}
  annotations: {{- $annotations | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels: {{- include "verdict.labels" $root | nindent 4 }}
  annotations: {{- $annotations | nindent 4 }}
rules: {{- .clusterRules | nindent 0 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels: {{- include "verdict.labels" $root | nindent 4 }}
  annotations: {{- $annotations | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ $name }}}
subjects:
- {kind: ServiceAccount, name: {{ $name }}, namespace: {{ $namespace }}}
{{- with .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
  labels: {{- include "verdict.labels" $root | nindent 4 }}
  annotations: {{- $annotations | nindent 4 }}
rules: {{- . | nindent 0 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
  labels: {{- include "verdict.labels" $root | nindent 4 }}
  annotations: {{- $annotations | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ $name }}}
subjects:
- {kind: ServiceAccount, name: {{ $name }}, namespace: {{ $namespace }}}
{{- end }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  namespace: {{ $namespace }}
  labels: {{- include "verdict.labels" $root | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .hook }}
    helm.sh/hook-weight: "0"
    # One that failed stays, with its log.
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 3
  activeDeadlineSeconds: 240
  template:
    metadata:
      labels:
        app.kubernetes.io/name: verdict-{{ .name }}
    spec:
      restartPolicy: Never
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: true
      enableServiceLinks: false
      {{- with $root.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      securityContext: {{- include "verdict.podSecurity" $root | nindent 8 }}
      {{- with include "verdict.placement" $root | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      containers:
      - name: verdict
        image: {{ include "verdict.image" $root }}
        imagePullPolicy: {{ $root.Values.image.pullPolicy }}
        command: [/verdict]
        args: {{- toYaml .args | nindent 8 }}
        securityContext: {{- include "verdict.containerSecurity" $root | nindent 10 }}
        resources:
          requests: {cpu: 50m, memory: 64Mi}
          limits: {memory: 256Mi}
{{- end }}
