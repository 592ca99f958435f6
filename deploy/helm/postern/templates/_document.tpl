{{/* The connector document, as YAML. */}}
{{- define "postern.document" -}}
{{- if not (or .Values.identity.issuers .Values.identity.serviceAccounts .Values.identity.clientCertificates) }}{{ fail "identity.issuers: who may sign in?" }}{{- end }}
{{- $tls := dict }}
{{- if not .Values.tls.trial }}
  {{- $tls = dict "tls" (dict "certificate" "/etc/postern/tls/tls.crt" "key" "/etc/postern/tls/tls.key") }}
{{- end }}
{{- $kubernetesTls := deepCopy $tls }}
{{- with .Values.tls.certificateAuthority }}
  {{- if $.Values.tls.trial }}{{ fail "tls.certificateAuthority: a trial certificate has an authority of its own" }}{{- end }}
  {{- $_ := set $kubernetesTls.tls "certificateAuthority" . }}
{{- end }}
{{- $listen := dict
  "kubernetes" (merge (dict "address" ":8443" "publicURL" (required "kubernetes.publicURL: what do clients call it?" .Values.kubernetes.publicURL) "trustedProxies" .Values.kubernetes.trustedProxies) $kubernetesTls)
  "portal" (merge (dict "address" ":8444" "publicURL" (required "portal.publicURL: what do people call it?" .Values.portal.publicURL) "trustedProxies" .Values.portal.trustedProxies) $tls)
  "ops" (dict "address" ":9443") }}
{{- $trail := dict "stdout" dict }}
{{- if eq .Values.audit.trail "directory" }}
  {{- $trail = dict "directory" "/var/lib/postern/audit" }}
{{- end }}
{{- $document := dict
  "apiVersion" "postern.dev/v1alpha1"
  "kind" "Connector"
  "listen" $listen
  "identity" .Values.identity
  "sockets" (include "postern.sockets" . | fromJsonArray)
  "stateDirectory" "/var/lib/postern/state"
  "audit" (dict "trail" $trail "requestReceived" .Values.audit.requestReceived)
  "limits" (merge (dict "shutdownDelay" (printf "%ds" (int .Values.shutdownDelaySeconds)) "drainTimeout" (printf "%ds" (int .Values.drainSeconds))) .Values.limits) }}
{{- if or .Values.policies.files .Values.policies.existingConfigMap }}
  {{- $_ := set $document "policies" (list "/etc/postern/policies/*.yaml") }}
{{- end }}
{{- with .Values.policies.objects }}
  {{- $_ := set $document "policyObjects" . }}
{{- end }}
{{- with .Values.defaultSocket }}
  {{- $_ := set $document "defaultSocket" . }}
{{- end }}
{{- if .Values.recordings.enabled }}
  {{- $_ := set $document "recordings" (include "postern.recordings" . | fromJson) }}
{{- end }}
{{- toYaml $document }}
{{- end }}

{{/* The sockets as a JSON list, those of this cluster forwarded as `rights` has it. */}}
{{- define "postern.sockets" -}}
{{- $sockets := list }}
{{- $as := get (dict "full" "connector" "least" "subject") .Values.rights.kind }}
{{- range .Values.sockets }}
  {{- $socket := deepCopy . }}
  {{- if and $as (hasKey $socket.upstream "inCluster") }}
    {{- if ne (get $socket "forwardAs" | default $as) $as }}
      {{- fail (printf "sockets: %s has forwardAs: %s, which rights.kind: %s does not allow" $socket.name $socket.forwardAs $.Values.rights.kind) }}
    {{- end }}
    {{- $_ := set $socket "forwardAs" $as }}
  {{- end }}
  {{- $sockets = append $sockets $socket }}
{{- end }}
{{- $sockets | toJson }}
{{- end }}

{{- define "postern.recordings" -}}
{{- $directory := "/var/lib/postern/recordings" }}
{{- $store := dict "directory" $directory }}
{{- if .Values.recordings.s3 }}
  {{- $store = dict "s3" (merge (dict "spool" $directory) .Values.recordings.s3) }}
{{- end }}
{{- $recordings := dict "store" $store "retention" .Values.recordings.retention "maskInput" .Values.recordings.maskInput }}
{{- if .Values.recordings.publicKey }}
  {{- $_ := set $recordings "encryption" (dict "publicKey" "/etc/postern/connector/recordings.pub") }}
{{- end }}
{{- $recordings | toJson }}
{{- end }}
