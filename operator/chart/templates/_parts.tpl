{{- /*
What the operator may do where PointServices are. Each verb here is used, and a test fails when one is taken away.
"create" stands beside "patch" because a server-side apply needs both to make an object. What it may only do at the
gateway is in gateway-role.yaml.
*/ -}}
{{- define "point-operator.rules" }}
- apiGroups: [pointservice.io]
  resources: [pointservices]
  verbs: [get, list, watch, patch]
- apiGroups: [pointservice.io]
  resources: [pointservices/status]
  verbs: [patch]
- apiGroups: [pointservice.io]
  resources: [pointservices/finalizers] # owner references that block deletion, where admission checks them
  verbs: [update]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments] # those of a trial and of a rate limit service go when they are not wanted any more
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [networking.istio.io]
  resources: [virtualservices, destinationrules]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.istio.io]
  resources: [gateways, envoyfilters]
  verbs: [list, watch]
- apiGroups: [security.istio.io]
  resources: [authorizationpolicies, peerauthentications]
  verbs: [get, list, watch, create, patch]
- apiGroups: [security.istio.io]
  resources: [requestauthentications]
  verbs: [list, watch]
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors, prometheusrules]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [grafana.integreatly.org]
  resources: [grafanadashboards]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods] # how many gateway pods share a limit; whether pods have their proxy; why they don't start
  verbs: [list]
- apiGroups: [""]
  resources: [namespaces] # their annotation pointservice.io/hosts
  verbs: [get]
- apiGroups: [""]
  resources: [secrets] # by name only, to see whether they exist and when they changed
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}

{{- /* Where the operator works, as its variables say it. */ -}}
{{- define "point-operator.settings" -}}
- name: POINT_OPERATOR_GATEWAYS
  {{- $gateways := list }}
  {{- range .Values.gateways }}
  {{- $labels := list }}
  {{- range $key, $value := .selector }}{{ $labels = append $labels (printf "%s=%s" $key $value) }}{{ end }}
  {{- $gateways = append $gateways (printf "%s=%s/%s/%s" .name .namespace (join "," $labels) .serviceAccount) }}
  {{- end }}
  value: {{ join ";" $gateways | quote }}
{{- with .Values.watchNamespaces }}
- {name: POINT_OPERATOR_WATCH_NAMESPACES, value: {{ join "," . | quote }}}
{{- with $.Values.formerGatewayNamespaces }}
- {name: POINT_OPERATOR_FORMER_GATEWAY_NAMESPACES, value: {{ join "," . | quote }}}
{{- end }}
{{- end }}
{{- end }}
