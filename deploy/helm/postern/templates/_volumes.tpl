{{/* Names of what is kept on a volume, as a JSON list. */}}
{{- define "postern.kept" -}}
{{- $kept := list "state" }}
{{- if .Values.recordings.enabled }}{{- $kept = append $kept "recordings" }}{{- end }}
{{- if eq .Values.audit.trail "directory" }}{{- $kept = append $kept "audit" }}{{- end }}
{{- $kept | toJson }}
{{- end }}

{{/* Not empty when something is kept on a claim, which only one connector at a time may write to. */}}
{{- define "postern.usesClaim" -}}
{{- range include "postern.kept" . | fromJsonArray }}
  {{- if ne (index $.Values .).volume.kind "emptyDir" }}true{{- end }}
{{- end }}
{{- end }}

{{- define "postern.keptVolume" -}}
{{- $name := index . 0 }}{{- $root := index . 1 }}
{{- $volume := (index $root.Values $name).volume }}
name: {{ $name }}
{{- if eq $volume.kind "emptyDir" }}
emptyDir: { sizeLimit: {{ $volume.size }} }
{{- else if eq $volume.kind "existingClaim" }}
persistentVolumeClaim:
  claimName: {{ required (printf "%s.volume.existingClaim: which one?" $name) $volume.existingClaim }}
{{- else }}
persistentVolumeClaim:
  claimName: {{ include "postern.name" $root }}-{{ $name }}
{{- end }}
{{- end }}
