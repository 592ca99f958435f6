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

{{/* The pod's volume for one of these names; empty where the StatefulSet makes a claim for each pod. */}}
{{- define "postern.keptVolume" -}}
{{- $name := index . 0 }}{{- $root := index . 1 }}
{{- $volume := (index $root.Values $name).volume }}
{{- if eq $volume.kind "emptyDir" }}
name: {{ $name }}
emptyDir: { sizeLimit: {{ $volume.size }} }
{{- else if eq $volume.kind "existingClaim" }}
name: {{ $name }}
persistentVolumeClaim:
  claimName: {{ required (printf "%s.volume.existingClaim: which one?" $name) $volume.existingClaim }}
{{- else if eq $root.Values.kind "Deployment" }}
name: {{ $name }}
persistentVolumeClaim:
  claimName: {{ include "postern.name" $root }}-{{ $name }}
{{- end }}
{{- end }}

{{- define "postern.claimSpec" -}}
accessModes: [ReadWriteOnce]
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests: { storage: {{ .size }} }
{{- end }}
