{{/*
SPDX-License-Identifier: Apache-2.0
What the pods of both components have in common. Every template takes (root, component).
*/}}

{{/* "yes" where the values name an image of MetalLB: they were written for its chart, and ours is meant. */}}
{{- define "stentor.namesMetalLBImage" -}}
{{- $repository := (index (index . 0).Values (index . 1)).image.repository | default "" -}}
{{- if regexMatch "^((quay|docker)\\.io/)?metallb/(controller|speaker)$" $repository -}}yes{{- end -}}
{{- end -}}

{{- define "stentor.image" -}}
{{- $root := index . 0 -}}
{{- $image := (index $root.Values (index . 1)).image -}}
{{- if or (include "stentor.namesMetalLBImage" .) (not $image.repository) -}}
stentor.io/{{ index . 1 }}:{{ $root.Chart.AppVersion }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "stentor.metricsSecret" -}}
{{- $root := index . 0 -}}
{{- $key := printf "%sMetricsTLSSecret" (index . 1) -}}
{{- /* Before MetalLB 0.16 it stood under prometheus. */ -}}
{{- get (default dict $root.Values.tls) $key | default (get $root.Values.prometheus $key) -}}
{{- end -}}

{{/* Image, command and the flags of both programs: the head of the container. */}}
{{- define "stentor.program" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
name: {{ $component }}
image: {{ include "stentor.image" . | quote }}
{{- with $values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with $values.command }}
command: [{{ . | quote }}]
{{- end }}
args:
  - --port={{ include "stentor.metricsPort" $root }}
  - --health-probe-port={{ $values.healthProbePort | default 17472 | int }}
  - --log-level={{ $values.logLevel | default "info" }}
  {{- with $root.Values.loadBalancerClass }}
  - --lb-class={{ . }}
  {{- end }}
  {{- with $root.Values.existingConfigMap }}
  - --config={{ . }}
  {{- end }}
  {{- with $root.Values.tls }}
  {{- with .minVersion }}
  - --tls-min-version={{ . }}
  {{- end }}
  {{- with .cipherSuites }}
  - --tls-cipher-suites={{ . }}
  {{- end }}
  {{- with .curvePreferences }}
  - --tls-curve-preferences={{ . }}
  {{- end }}
  {{- end }}
  {{- if include "stentor.metricsSecret" . }}
  - --metrics-cert-dir=/etc/metrics
  {{- end }}
{{- end -}}

{{- define "stentor.metricsPorts" -}}
{{- if include "stentor.metricsScheme" . -}}
- name: {{ include "stentor.metricsPortName" . }}
  containerPort: {{ include "stentor.metricsPort" . }}
{{- end -}}
{{- end -}}

{{/* (probe, path, host, port) → the probe without its name. */}}
{{- define "stentor.probe" -}}
{{- $probe := index . 0 -}}
httpGet:
  path: {{ index . 1 }}
  port: {{ index . 3 }}
  {{- with index . 2 }}
  host: {{ . }}
  {{- end }}
{{- range $key := list "initialDelaySeconds" "periodSeconds" "timeoutSeconds" "successThreshold" "failureThreshold" }}
{{- if not (kindIs "invalid" (get $probe $key)) }}
{{ $key }}: {{ get $probe $key }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Probes and resources: the foot of the container. The speaker, on the host's network, is asked on 127.0.0.1. */}}
{{- define "stentor.health" -}}
{{- $values := index (index . 0).Values (index . 1) -}}
{{- $host := ternary "127.0.0.1" "" (eq (index . 1) "speaker") -}}
{{- $port := $values.healthProbePort | default 17472 | int -}}
{{- range $name, $path := dict "livenessProbe" "/healthz" "readinessProbe" "/readyz" -}}
{{- with get $values $name -}}
{{- if .enabled -}}
{{ $name }}:
  {{- include "stentor.probe" (list . $path $host $port) | nindent 2 }}
{{ end -}}
{{- end -}}
{{- end -}}
{{- with $values.resources -}}
resources:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* (root, component, annotations of ours) → annotations of the pods, or nothing. */}}
{{- define "stentor.podAnnotations" -}}
{{- $root := index . 0 -}}
{{- $all := dict -}}
{{- if and $root.Values.prometheus.scrapeAnnotations (include "stentor.metricsScheme" $root) -}}
{{- $_ := set $all "prometheus.io/scrape" "true" -}}
{{- $_ := set $all "prometheus.io/port" (include "stentor.metricsPort" $root) -}}
{{- $_ := set $all "prometheus.io/scheme" (include "stentor.metricsScheme" $root) -}}
{{- end -}}
{{- $given := include "stentor.strings" (index $root.Values (index . 1)).podAnnotations | fromYaml -}}
{{- with mergeOverwrite $all (index . 2) $given -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* Where the pods may run, under which account, and the security context that they share: the head of the pod. */}}
{{- define "stentor.pod" -}}
{{- $root := index . 0 -}}
{{- $values := index $root.Values (index . 1) -}}
serviceAccountName: {{ include (printf "stentor.%s.account" (index . 1)) $root }}
# Variables for every Service of the namespace would only be in the way.
enableServiceLinks: false
securityContext:
  {{- $default := dict "seccompProfile" (dict "type" "RuntimeDefault") }}
  {{- mergeOverwrite $default (deepCopy (default dict $values.securityContext)) | toYaml | nindent 2 }}
nodeSelector:
  {{- $further := include "stentor.strings" $values.nodeSelector | fromYaml }}
  {{- merge (dict "kubernetes.io/os" "linux") $further | toYaml | nindent 2 }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
(strategy, default of its rollingUpdate) → the strategy as the API takes it. rollingUpdate belongs to the type
RollingUpdate alone, but Helm leaves that of our default beside another type; and `--reuse-values` puts MetalLB's
defaults, which have none, in the place of ours.
*/}}
{{- define "stentor.strategy" -}}
{{- $type := (index . 0).type | default "RollingUpdate" -}}
type: {{ $type }}
{{- if eq $type "RollingUpdate" }}
rollingUpdate:
  {{- (index . 0).rollingUpdate | default (index . 1) | toYaml | nindent 2 }}
{{- end }}
{{- end -}}
