{{/* The pod, the same for both kinds of database. */}}
{{- define "issuer.pod" -}}
metadata:
  labels:
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- include "issuer.labels" . | nindent 4 }}
    # What gives the mesh its certificates cannot wait for one.
    sidecar.istio.io/inject: "false"
    istio.io/dataplane-mode: none
  annotations:
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    prometheus.io/scrape: "true"
    prometheus.io/port: "15014"
    prometheus.io/path: /metrics
spec:
  serviceAccountName: {{ include "issuer.account" . }}
  # For the documents; with a ConfigMap of them it has nothing to ask this cluster's API.
  automountServiceAccountToken: {{ not .Values.documents.configMap }}
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    runAsGroup: 1000
    fsGroup: 1000
    # Once: at each start it would open the keys' files to the group, and the issuer refuses keys that others can read.
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
  # Five seconds until nobody is sent here any more, twenty for what is under way, and some to close the database.
  terminationGracePeriodSeconds: 40
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "issuer.selector" $ | nindent 10 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  initContainers:
    # Makes the hub the first time, and nothing afterwards. Of several pods that start at once one makes it.
    - name: init
      args: [init, --config, /etc/espalier/issuer.yaml]
      {{- include "issuer.container" . | nindent 6 }}
  containers:
    - name: issuer
      args: [issuer, run, --config, /etc/espalier/issuer.yaml]
      env: [{ name: ESPALIER_ADMIN_SOCKET, value: /run/espalier/admin/admin.sock }]
      ports:
        - { name: grpc-hub, containerPort: 15443 }
        {{- if .Values.operators.enabled }}
        - { name: grpc-operators, containerPort: 15444 }
        {{- end }}
        - { name: http-metrics, containerPort: 15014 }
      livenessProbe:
        httpGet: { path: /healthz, port: http-metrics }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: http-metrics }
        periodSeconds: 3
        timeoutSeconds: 5
        failureThreshold: 2
      lifecycle:
        preStop:
          sleep: { seconds: 5 }
      {{- include "issuer.container" . | nindent 6 }}
  volumes:
    - name: config
      configMap: { name: {{ include "issuer.name" . }} }
    - name: run
      emptyDir: { medium: Memory, sizeLimit: 1Mi }
    {{- if include "issuer.keeps" . }}
    - name: data
      persistentVolumeClaim: { claimName: {{ include "issuer.claim" . }} }
    {{- end }}
    {{- range $index, $secret := .Values.secrets }}
    - name: secret-{{ $index }}
      secret: { secretName: {{ $secret }}, defaultMode: 0440 }
    {{- end }}
    {{- with .Values.documents.configMap }}
    - name: documents
      configMap: { name: {{ . }} }
    {{- end }}
{{- end }}

{{- define "issuer.container" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - { name: config, mountPath: /etc/espalier, readOnly: true }
  - { name: run, mountPath: /run/espalier }
  {{- if include "issuer.keeps" . }}
  - { name: data, mountPath: /data }
  {{- end }}
  {{- range $index, $secret := .Values.secrets }}
  - { name: secret-{{ $index }}, mountPath: /var/run/secrets/espalier/{{ $secret }}, readOnly: true }
  {{- end }}
  {{- if .Values.documents.configMap }}
  - { name: documents, mountPath: /etc/espalier-documents, readOnly: true }
  {{- end }}
{{- end }}
