{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/* (root, path) → the value at that path as text; empty where there is none, or an empty, false one. */}}
{{- define "stentor.valueAt" -}}
{{- $value := (index . 0).Values -}}
{{- range splitList "." (index . 1) -}}
{{- $value = ternary (get (ternary $value dict (kindIs "map" $value)) .) "" (kindIs "map" $value) -}}
{{- end -}}
{{- with $value -}}{{ ternary "{…}" (toString .) (kindIs "map" .) }}{{- end -}}
{{- end -}}

{{/* One line for each value that is set and has no effect (files/ignored-values.yaml). */}}
{{- define "stentor.ignoredValues" -}}
{{- range .Files.Get "files/ignored-values.yaml" | fromYamlArray }}
{{- $value := include "stentor.valueAt" (list $ .path) }}
{{- if and $value (not (has $value .quiet)) (or (not .when) (include "stentor.valueAt" (list $ .when))) }}
  {{ .path }}: {{ .why }}
{{- end }}
{{- end }}
{{- end -}}
