{{/* What names everything in the release's own namespace. */}}
{{- define "issuer.name" -}}
{{ .Release.Name }}
{{- end }}

{{/* What names everything outside of it: no two releases share it, for ":" is in no namespace's name. */}}
{{- define "issuer.outside" -}}
espalier:{{ .Release.Namespace }}:{{ .Release.Name }}
{{- end }}

{{- define "issuer.account" -}}
{{ .Values.serviceAccount.name | default (include "issuer.name" .) }}
{{- end }}

{{- define "issuer.selector" -}}
app.kubernetes.io/name: espalier-issuer
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "issuer.labels" -}}
{{ include "issuer.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Not empty where several issuers share a PostgreSQL database. */}}
{{- define "issuer.shared" -}}
{{- if regexMatch "^postgres(ql)?://" .Values.database }}yes{{ end }}
{{- end }}

{{/* What runs the pods, as kubectl names it. */}}
{{- define "issuer.workload" -}}
{{ ternary "sts" "deploy" (include "issuer.shared" . | empty) }}/{{ include "issuer.name" . }}
{{- end }}

{{- define "issuer.claim" -}}
{{ .Values.storage.existingClaim | default (include "issuer.name" .) }}
{{- end }}

{{/* Not empty where something is kept in files: the SQLite file, or keys. */}}
{{- define "issuer.keeps" -}}
{{- if or (not (include "issuer.shared" .)) (empty .Values.custody) }}yes{{ end }}
{{- end }}

{{/* What no schema can say. */}}
{{- define "issuer.check" -}}
{{- if gt (int .Values.replicas) 1 }}
{{- if not (include "issuer.shared" .) }}
{{- fail "replicas: a SQLite file has one issuer; several share a PostgreSQL database (database: postgres://user@host/database)" }}
{{- end }}
{{- if and (empty .Values.custody) (not .Values.storage.existingClaim) (not (has "ReadWriteMany" .Values.storage.accessModes)) }}
{{- fail "replicas: all issuers need the keys: custody.sealed has them in the database; files need storage.accessModes [ReadWriteMany]" }}
{{- end }}
{{- end }}
{{- end }}

{{/* issuer.yaml, key by key: what is not named here is the issuer's own default. The issuer refuses what it does not know. */}}
{{- define "issuer.config" -}}
{{- $config := dict
  "hub" .Values.hub
  "listen" "0.0.0.0:15443"
  "serverNames" .Values.serverNames
  "http" "0.0.0.0:15014"
  "adminSocket" "/run/espalier/admin/admin.sock"
  "database" .Values.database
  "keys" "/data/hub/keys"
  "queueBytes" (int64 .Values.queueBytes)
  "log" .Values.log
-}}
{{- if .Values.operators.enabled }}{{ $_ := set $config "adminListen" "0.0.0.0:15444" }}{{ end -}}
{{- $days := .Values.retention.keepDays }}
{{- $_ := set $config "retention" (dict "keepDays" (kindIs "string" $days | ternary $days (int $days))) -}}
{{- $_ := set $config "rotation" (dict "settleSeconds" (int .Values.rotation.settleSeconds)) -}}
{{- with .Values.hubRootSha256 }}{{ $_ := set $config "hubRootSha256" . }}{{ end -}}
{{- if .Values.documents.configMap }}
{{- $_ := set $config "resources" "/etc/espalier-documents" }}
{{- else }}
{{- $_ := set $config "kubernetes" dict }}
{{- end }}
{{- if include "issuer.shared" . }}
{{- $postgres := dict }}
{{- range $key, $value := .Values.postgres }}
{{- if kindIs "float64" $value }}{{ $value = int $value }}{{ end }}
{{- if ne (toString $value) "" }}{{ $_ := set $postgres $key $value }}{{ end }}
{{- end }}
{{- $_ := set $config "postgres" $postgres }}
{{- else }}
{{- $_ := set $config "database" "/data/hub/espalier.db" }}
{{- end }}
{{- if include "issuer.keeps" . }}{{ $_ := set $config "highWater" "/data/newest" }}{{ end -}}
{{- with .Values.custody }}{{ $_ := set $config "custody" . }}{{ end -}}
{{- with .Values.passphraseFile }}{{ $_ := set $config "passphraseFile" . }}{{ end -}}
{{ toYaml $config }}
{{- end }}
