{{/* The pod of a connector: `metadata` and `spec`. */}}
{{- define "postern.pod" -}}
metadata:
  labels:
    {{- include "postern.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{- end }}
  annotations:
    # The document is read at the start; policies are read again when they change.
    checksum/connector: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{- end }}
spec:
  serviceAccountName: {{ include "postern.serviceAccount" . }}
  automountServiceAccountToken: {{ not (empty (include "postern.usesServiceAccountToken" .)) }}
  enableServiceLinks: false
  # What ends after the drain: events, and recordings that the bucket still has to take.
  terminationGracePeriodSeconds: {{ add .Values.shutdownDelaySeconds .Values.drainSeconds (ternary 30 5 (and .Values.recordings.enabled (not (empty .Values.recordings.s3)))) }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: connector
      image: {{ include "postern.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [connector, start, --config, /etc/postern/connector/connector.yaml, --log-level, {{ .Values.logLevel }}]
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      ports:
        - { name: kubernetes, containerPort: 8443, protocol: TCP }
        - { name: portal, containerPort: 8444, protocol: TCP }
        - { name: ops, containerPort: 9443, protocol: TCP }
      startupProbe:
        httpGet: { path: /livez, port: ops, scheme: HTTP }
        periodSeconds: 1
        failureThreshold: 60
      livenessProbe:
        httpGet: { path: /livez, port: ops, scheme: HTTP }
        periodSeconds: 10
        timeoutSeconds: 5
      readinessProbe:
        httpGet: { path: /readyz, port: ops, scheme: HTTP }
        periodSeconds: 5
        timeoutSeconds: 5
      resources: {{- toYaml .Values.resources | nindent 8 }}
      {{- with .Values.env }}
      env: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.envFrom }}
      envFrom: {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - { name: connector, mountPath: /etc/postern/connector, readOnly: true }
        - { name: policies, mountPath: /etc/postern/policies, readOnly: true }
        {{- if not .Values.tls.trial }}
        - { name: tls, mountPath: /etc/postern/tls, readOnly: true }
        {{- end }}
        {{- range include "postern.kept" . | fromJsonArray }}
        - { name: {{ . }}, mountPath: /var/lib/postern/{{ . }} }
        {{- end }}
        {{- with .Values.volumeMounts }}{{ toYaml . | nindent 8 }}{{- end }}
  volumes:
    - name: connector
      configMap: { name: {{ include "postern.name" . }} }
    - name: policies
      configMap:
        name: {{ .Values.policies.existingConfigMap | default (printf "%s-policies" (include "postern.name" .)) }}
        optional: {{ not (empty .Values.policies.objects) }}
    {{- if not .Values.tls.trial }}
    - name: tls
      secret: { secretName: {{ include "postern.tlsSecret" . }}, defaultMode: 0440 }
    {{- end }}
    {{- range include "postern.kept" . | fromJsonArray }}
    {{- with include "postern.keptVolume" (list . $) | trim }}
    - {{ nindent 6 . | trim }}
    {{- end }}
    {{- end }}
    {{- with .Values.volumes }}{{ toYaml . | nindent 4 }}{{- end }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
{{- end }}
