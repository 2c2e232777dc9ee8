{{/* The name that all objects of the release begin with. */}}
{{- define "slipway.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "slipway.selector" -}}
app.kubernetes.io/name: slipway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "slipway.labels" -}}
{{ include "slipway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The values of a role: its own over the defaults. Call with (list . role). */}}
{{- define "slipway.role" -}}
{{- $root := index . 0 }}{{ $role := index . 1 }}
{{- mergeOverwrite (deepCopy $root.Values.defaults) (deepCopy (get $root.Values.roles $role | default dict)) | toJson }}
{{- end }}

{{/* The URL of a service. Its name stands for the addresses of all replicas. */}}
{{- define "slipway.url" -}}
{{- $root := index . 0 }}{{ $role := index . 1 }}
{{- empty $root.Values.tls.secret | ternary "http" "https" }}://{{ include "slipway.name" $root }}-{{ $role }}:50051
{{- end }}

{{/* The keys of the Secret that a role reads: name of the variable, key of the Secret. */}}
{{- define "slipway.secrets" -}}
{{- $root := index . 0 }}{{ $role := index . 1 }}{{ $keys := $root.Values.secrets.keys }}
{{- $found := dict "SERVICE_SECRET_FILE" $keys.serviceSecret }}
{{- if ne $role "gateway" }}{{ $_ := set $found "MONGODB_URL_FILE" $keys.mongodbUrl }}{{ end }}
{{- if eq $role "release" }}
  {{- $_ := set $found "JWT_KEY_FILE" $keys.jwtKey }}
  {{- if $keys.adminPassword }}{{ $_ := set $found "ADMIN_PASSWORD_FILE" $keys.adminPassword }}{{ end }}
  {{- if $keys.oidcClientSecret }}{{ $_ := set $found "OIDC_CLIENT_SECRET_FILE" $keys.oidcClientSecret }}{{ end }}
{{- end }}
{{- if and (eq $role "notify") $keys.smtpUrl }}{{ $_ := set $found "SMTP_URL_FILE" $keys.smtpUrl }}{{ end }}
{{- if and (eq $role "gateway") $keys.webhookSecret }}{{ $_ := set $found "WEBHOOK_SECRET_FILE" $keys.webhookSecret }}{{ end }}
{{- $found | toJson }}
{{- end }}

{{/* The configuration of a role, as a map of variables. */}}
{{- define "slipway.config" -}}
{{- $root := index . 0 }}{{ $role := index . 1 }}{{ $values := include "slipway.role" . | fromJson }}
{{- $env := dict "DRAIN_DEADLINE" (printf "%vs" $root.Values.drainDeadlineSeconds) }}
{{- range $called := list "release" "forum" "chat" "notify" }}
  {{- if or (eq $role "gateway") (eq $called "release" "notify") }}
    {{- if ne $called $role }}{{ $_ := set $env (printf "%s_URL" (upper $called)) (include "slipway.url" (list $root $called)) }}{{ end }}
  {{- end }}
{{- end }}
{{- if ne $role "gateway" }}
  {{- $_ := set $env "KAFKA_BROKERS" (required "kafka.brokers is required" $root.Values.kafka.brokers) }}
  {{- with $root.Values.kafka.tls }}{{ if .enabled }}
    {{- $_ := set $env "KAFKA_TLS" "true" }}
    {{- if .caSecret.name }}{{ $_ := set $env "KAFKA_CA_FILE" "/run/kafka-ca/ca.crt" }}{{ end }}
  {{- end }}{{ end }}
  {{- with $root.Values.kafka.sasl }}{{ if .mechanism }}
    {{- $_ := set $env "KAFKA_SASL_MECHANISM" .mechanism }}
    {{- $_ := set $env "KAFKA_SASL_USERNAME" .username }}
    {{- $_ := set $env "KAFKA_SASL_PASSWORD_FILE" "/run/kafka-user/password" }}
  {{- end }}{{ end }}
{{- end }}
{{- if and (has $role (list "gateway" "release" "notify")) $root.Values.publicUrl }}{{ $_ := set $env "PUBLIC_URL" $root.Values.publicUrl }}{{ end }}
{{- if and (eq $role "gateway") $root.Values.ingress.enabled }}{{ $_ := set $env "TRUSTED_PROXIES" $root.Values.ingress.trustedProxies }}{{ end }}
{{- if $root.Values.tls.secret }}
  {{- range $key, $file := dict "TLS_CA_FILE" "ca.crt" "TLS_CERT_FILE" "tls.crt" "TLS_KEY_FILE" "tls.key" "TLS_CLIENT_CA_FILE" "ca.crt" }}
    {{- $_ := set $env $key (printf "/run/tls/%s" $file) }}
  {{- end }}
{{- end }}
{{- range $name, $key := include "slipway.secrets" . | fromJson }}
  {{- $_ := set $env $name (printf "/run/slipway/%s" $key) }}
{{- end }}
{{- range $config := list $root.Values.config $values.config }}
  {{- range $name, $value := $config }}
    {{- /* Numbers are whole; as they are, large ones would be written with an exponent. */}}
    {{- if kindIs "float64" $value }}{{ $value = int64 $value }}{{ end }}
    {{- $_ := set $env (upper $name) ($value | toString) }}
  {{- end }}
{{- end }}
{{- $env | toJson }}
{{- end }}
