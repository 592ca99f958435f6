{{/* Name of everything in this release. */}}
{{- define "postern.name" -}}
{{- if contains "postern" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-postern" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "postern.selector" -}}
app.kubernetes.io/name: postern
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "postern.labels" -}}
{{ include "postern.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "postern.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "postern.name" .) }}
{{- else }}{{ required "serviceAccount.name: which service account, when none is created?" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* ClusterRoles have no namespace: two releases of one name do not share theirs. */}}
{{- define "postern.clusterRole" -}}
{{ printf "%s-%s" .Release.Namespace (include "postern.name" .) }}
{{- end }}

{{- define "postern.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "postern.tlsSecret" -}}
{{- if .Values.tls.existingSecret }}{{ .Values.tls.existingSecret }}
{{- else if .Values.tls.certManager }}{{ .Values.tls.certManager.secretName | default (printf "%s-tls" (include "postern.name" .)) }}
{{- else }}{{ fail "tls: say existingSecret, certManager with an issuerRef, or for a trial of it trial: true" }}
{{- end }}
{{- end }}

{{/* Host names that clients call the kubernetes listener, as a JSON list; and the one of the portal. */}}
{{- define "postern.kubernetesHosts" -}}
{{- $hosts := list (include "postern.host" .Values.kubernetes.publicURL) }}
{{- range .Values.sockets }}{{- $hosts = concat $hosts (.hosts | default list) }}{{- end }}
{{- $hosts | uniq | toJson }}
{{- end }}
{{- define "postern.portalHost" -}}
{{ include "postern.host" .Values.portal.publicURL }}
{{- end }}
{{- define "postern.host" -}}
{{ regexReplaceAll ":[0-9]+$" (urlParse .).host "" }}
{{- end }}

{{/* Not empty for an address, as it stands in a URL. */}}
{{- define "postern.isAddress" -}}
{{- if regexMatch "^([0-9]+(\\.[0-9]+){3}|\\[.+\\])$" . }}true{{- end }}
{{- end }}

{{- define "postern.usesServiceAccountToken" -}}
{{- range .Values.sockets }}{{- if hasKey .upstream "inCluster" }}true{{- end }}{{- end }}
{{- end }}
