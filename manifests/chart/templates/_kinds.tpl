{{/* The declared kinds: a test compares them with the definitions in crds/. */}}
{{- define "verdict.kinds" -}}
validators policygroups mutators authorizers authenticators providers namespacedvalidators namespacedmutators
{{- end }}

{{- define "verdict.resources" -}}
[{{ splitList " " (include "verdict.kinds" .) | join ", " }}]
{{- end }}

{{- define "verdict.statuses" -}}
[{{ range $at, $kind := splitList " " (include "verdict.kinds" .) }}{{ if $at }}, {{ end }}{{ $kind }}/status{{ end }}]
{{- end }}
