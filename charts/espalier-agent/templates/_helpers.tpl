{{/* What names everything in the release's own namespace. */}}
{{- define "agent.name" -}}
{{ .Release.Name }}
{{- end }}

{{/* What names everything outside of it: no two releases share it, for ":" is in no namespace's name. */}}
{{- define "agent.outside" -}}
espalier:{{ .Release.Namespace }}:{{ .Release.Name }}
{{- end }}

{{- define "agent.account" -}}
{{ .Values.serviceAccount.name | default (include "agent.name" .) }}
{{- end }}

{{- define "agent.selector" -}}
app.kubernetes.io/name: espalier-agent
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "agent.labels" -}}
{{ include "agent.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Every control plane as one list, with what the agent takes for those that do not say it. */}}
{{- define "agent.planes" -}}
{{- $planes := list (pick .Values.kubernetes "rootConfigMap" "istiodNamespace" "istiodSecret") -}}
{{- range .Values.kubernetes.revisions }}
{{- $secret := ternary .istiodSecret "istiod-tls" (hasKey . "istiodSecret") }}
{{- $plane := dict "rootConfigMap" (.rootConfigMap | default "istio-ca-root-cert") "istiodNamespace" (.istiodNamespace | default "istio-system") }}
{{- $planes = append $planes (set $plane "istiodSecret" $secret) }}
{{- end -}}
{{ toJson $planes }}
{{- end }}

{{/* agent.yaml, key by key: what is not named here is the agent's own default. The agent refuses what it does not know. */}}
{{- define "agent.config" -}}
{{- $config := dict
  "hub" .Values.hub
  "cluster" .Values.cluster
  "aliases" .Values.aliases
  "listen" "0.0.0.0:15012"
  "http" "0.0.0.0:15020"
  "issuers" .Values.issuers
  "hubRoots" "/etc/espalier/hub-root.pem"
  "tokenFile" "/var/run/secrets/espalier/token"
  "tokens" (dict "issuer" .Values.tokens.issuer "audiences" .Values.tokens.audiences)
  "deadlineMs" (int .Values.deadlineMs)
  "channelsPerIssuer" (int .Values.channelsPerIssuer)
  "log" .Values.log
-}}
{{- with .Values.issuerName }}{{ $_ := set $config "issuerName" . }}{{ end -}}
{{- with .Values.hubRootSha256 }}{{ $_ := set $config "hubRootSha256" . }}{{ end -}}
{{- if .Values.joinToken.secret }}{{ $_ := set $config "joinTokenFile" "/var/run/secrets/espalier-join/token" }}{{ end -}}
{{- $kubernetes := dict
  "namespace" .Release.Namespace
  "name" (include "agent.name" .)
  "tokens" .Values.kubernetes.tokens
  "stalenessSeconds" (int .Values.kubernetes.stalenessSeconds)
  "ztunnelAccounts" .Values.kubernetes.ztunnelAccounts
  "rootConfigMap" .Values.kubernetes.rootConfigMap
  "namespaceSelector" .Values.kubernetes.namespaceSelector
  "istiodNamespace" .Values.kubernetes.istiodNamespace
  "istiodSecret" .Values.kubernetes.istiodSecret
  "certManager" .Values.kubernetes.certManager
  "signingRequests" .Values.kubernetes.signingRequests
  "revisions" .Values.kubernetes.revisions
-}}
{{- with .Values.kubernetes.clusterTrustBundle }}{{ $_ := set $kubernetes "clusterTrustBundle" . }}{{ end -}}
{{- $_ := set $config "kubernetes" $kubernetes -}}
{{ toYaml $config }}
{{- end }}
