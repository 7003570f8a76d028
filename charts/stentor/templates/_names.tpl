{{/*
SPDX-License-Identifier: Apache-2.0
Names and labels. They equal those of MetalLB's chart for the same release name, or, with plainManifests, those of
MetalLB's plain manifests: selectors can never change, so only then is an installation replaced in place.
*/}}

{{- define "stentor.name" -}}
{{- .Values.nameOverride | default "metallb" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "stentor.fullname" -}}
{{- $name := include "stentor.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What stands before "controller", "speaker" and so on in the names of objects of the namespace. */}}
{{- define "stentor.prefix" -}}
{{- if not .Values.plainManifests -}}{{ include "stentor.fullname" . }}-{{- end -}}
{{- end -}}

{{/* The same for objects of the cluster. */}}
{{- define "stentor.clusterPrefix" -}}
{{- ternary .Release.Namespace (include "stentor.fullname" .) (default false .Values.plainManifests) -}}:
{{- end -}}

{{/* (root, component) → the labels by which its pods are found, as YAML. */}}
{{- define "stentor.selectorLabels" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.plainManifests -}}
app: metallb
component: {{ index . 1 }}
{{- else -}}
app.kubernetes.io/name: {{ include "stentor.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}
{{- end -}}

{{/* Labels of every object, as YAML. */}}
{{- define "stentor.labels" -}}
{{- if .Values.plainManifests -}}
app: metallb
{{- else -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "stentor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
{{- end -}}

{{/* (root, component, further labels) → labels of an object of that component, as YAML. Ours win. */}}
{{- define "stentor.componentLabels" -}}
{{- $root := index . 0 -}}
{{- $ours := merge (include "stentor.selectorLabels" . | fromYaml) (include "stentor.labels" $root | fromYaml) -}}
{{- merge $ours (include "stentor.strings" (index . 2) | fromYaml) | toYaml -}}
{{- end -}}

{{/* A map of labels or annotations with every value as text, as YAML. */}}
{{- define "stentor.strings" -}}
{{- range $key, $value := . }}
{{ $key }}: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{- define "stentor.controller.account" -}}
{{- $account := .Values.controller.serviceAccount -}}
{{- $account.name | default (ternary (printf "%scontroller" (include "stentor.prefix" .)) "default" $account.create) -}}
{{- end -}}

{{- define "stentor.speaker.account" -}}
{{- $account := .Values.speaker.serviceAccount -}}
{{- $account.name | default (ternary (printf "%sspeaker" (include "stentor.prefix" .)) "default" $account.create) -}}
{{- end -}}

{{/* Secret with the key that the speakers share. */}}
{{- define "stentor.memberlistSecret" -}}
{{- $name := .Values.speaker.secretName | default (printf "%smemberlist" (include "stentor.prefix" .)) -}}
{{- $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* "yes" where speakers watch each other, otherwise empty. */}}
{{- define "stentor.memberlist" -}}
{{- if and .Values.speaker.enabled .Values.speaker.memberlist.enabled -}}yes{{- end -}}
{{- end -}}

{{/* "enabled", "disabled" or "onlywebhook". */}}
{{- define "stentor.webhookMode" -}}
{{- .Values.controller.webhookMode | default "enabled" -}}
{{- end -}}

{{/* "yes" where webhooks are served, otherwise empty. */}}
{{- define "stentor.webhooks" -}}
{{- if and .Values.controller.enabled (ne (include "stentor.webhookMode" .) "disabled") -}}yes{{- end -}}
{{- end -}}

{{/* "yes" where the controller gives addresses to Services, otherwise empty. */}}
{{- define "stentor.allocates" -}}
{{- if and .Values.controller.enabled (ne (include "stentor.webhookMode" .) "onlywebhook") -}}yes{{- end -}}
{{- end -}}

{{/* Before MetalLB 0.16 a proxy served HTTPS on a port of its own, and that one was scraped. */}}
{{- define "stentor.metricsPort" -}}
{{- .Values.prometheus.secureMetricsPort | default .Values.prometheus.metricsPort | default 0 | int -}}
{{- end -}}

{{/* "https", "http", or empty where there are no metrics. */}}
{{- define "stentor.metricsScheme" -}}
{{- $port := include "stentor.metricsPort" . -}}
{{- if eq $port "7472" -}}http{{- else if ne $port "0" -}}https{{- end -}}
{{- end -}}

{{/* MetalLB calls the port so in its current and in its older charts. */}}
{{- define "stentor.metricsPortName" -}}
{{- ternary "monitoring" "metricshttps" (eq (include "stentor.metricsScheme" .) "http") -}}
{{- end -}}
