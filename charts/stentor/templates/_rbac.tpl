{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{- define "stentor.metricsRules" -}}
{{- if eq (include "stentor.metricsScheme" .) "https" -}}
# Whose token a scrape of the metrics carries.
- apiGroups: [authentication.k8s.io]
  resources: [tokenreviews]
  verbs: [create]
# Whether that account may read them.
- apiGroups: [authorization.k8s.io]
  resources: [subjectaccessreviews]
  verbs: [create]
{{- end -}}
{{- end -}}

{{- define "stentor.legacyRules" -}}
# Pools as MetalLB before 0.14 wrote them.
- apiGroups: [metallb.io]
  resources: [addresspools]
  verbs: [list, watch]
# The ConfigMap of MetalLB before 0.13.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ .Values.existingConfigMap | default "config" | quote }}]
  verbs: [list, watch]
{{- end -}}

{{/* (root, kind of role, its name, account) → the binding of the same name. */}}
{{- define "stentor.binding" -}}
{{- $root := index . 0 -}}
{{- $kind := index . 1 -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ index . 2 | quote }}
  {{- if eq $kind "Role" }}
  namespace: {{ $root.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "stentor.labels" $root | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ $kind }}, name: {{ index . 2 | quote }}}
subjects:
  - {kind: ServiceAccount, name: {{ index . 3 }}, namespace: {{ $root.Release.Namespace }}}
{{- end -}}
