{{/* Refuses values that contradict each other, and would fail later or not at all. */}}
{{- define "postern.checks" -}}
{{- include "postern.tlsChecks" . }}
{{- include "postern.replicaChecks" . }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) }}
  {{- fail "metrics.serviceMonitor: nothing would be scraped; set metrics.enabled: true too" }}
{{- end }}
{{- if and .Values.metrics.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) }}
  {{- fail "networkPolicy.metricsFrom: this NetworkPolicy would keep Prometheus from the metrics; say where it is, or set networkPolicy.enabled: false" }}
{{- end }}
{{- end }}

{{- define "postern.tlsChecks" -}}
{{- with .Values.tls }}
  {{- if and .trial (or .existingSecret .certManager) }}
    {{- fail "tls.trial: the connector would make a certificate of its own and pass over the one of existingSecret or certManager; say one of the three" }}
  {{- end }}
  {{- if and .existingSecret .certManager }}
    {{- fail "tls: existingSecret and certManager each name a Secret; say one of them (certManager.secretName names that of cert-manager)" }}
  {{- end }}
  {{- if and .trial (gt (int $.Values.replicas) 1) }}
    {{- fail "tls.trial: each replica would make an authority of its own, and clients would trust one of them; a trial has replicas: 1" }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "postern.replicaChecks" -}}
{{- if gt (int .Values.replicas) 1 }}
  {{- if and .Values.recordings.enabled (not .Values.recordings.s3) }}
    {{- fail "replicas: each would list and play its own recordings only; keep them in recordings.s3, or set recordings.enabled: false" }}
  {{- end }}
  {{- range include "postern.kept" . | fromJsonArray }}
    {{- $kind := (index $.Values .).volume.kind }}
    {{- if eq $kind "existingClaim" }}
      {{- fail (printf "%s.volume: one connector holds the lock of a claim, so replicas cannot share one; use kind: claim with StatefulSet, or emptyDir" .) }}
    {{- else if and (eq $kind "claim") (eq $.Values.kind "Deployment") }}
      {{- fail (printf "%s.volume: one connector holds the lock of a claim; with kind: StatefulSet each replica has a claim of its own, or use volume.kind: emptyDir" .) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
