"""Inputs whose form differs from CloudFormation's by more than names, brought into a form in which names suffice."""

from typing import Any

Props = dict[str, Any]


def attributes(property_: str, keys: dict[str, str], inputs: Props) -> Props:
    """Inputs that are attributes (key and value) of a load balancer or a target group."""
    rest = {k: v for k, v in inputs.items() if k not in keys}
    pairs = [(keys[k], v) for k, v in inputs.items() if k in keys]
    pairs += [(f"access_logs.s3.{k}", v) for k, v in rest.pop("accessLogs", {}).items()]
    return {**rest, property_: [{"key": k, "value": v} for k, v in pairs]} if pairs else rest


def budget(inputs: Props) -> Props:
    notifications = [
        {
            "notification": {k: v for k, v in one.items() if k != "subscriberEmailAddresses"},
            "subscribers": [
                {"subscriptionType": "EMAIL", "address": a} for a in one["subscriberEmailAddresses"]
            ],
        }
        for one in inputs["notifications"]
    ]
    limit = {"amount": inputs["limitAmount"], "unit": inputs["limitUnit"]}
    budget = {k: v for k, v in inputs.items() if k in ("budgetType", "timeUnit", "name")}
    taken = ("notifications", "limitAmount", "limitUnit", *budget)
    rest = {k: v for k, v in inputs.items() if k not in taken}
    return {**rest, "budget": {**budget, "limit": limit}, "notificationsWithSubscribers": notifications}


def parameters(inputs: Props) -> Props:
    return {**inputs, "parameters": {p["name"]: p["value"] for p in inputs["parameters"]}}


def launch_template(inputs: Props) -> Props:
    own = {k: inputs[k] for k in ("name", "tags", "updateDefaultVersion") if k in inputs}
    tags = own.pop("tags", {})
    data = {k: v for k, v in inputs.items() if k not in (*own, "tags")}
    return {
        **own,
        "launchTemplateData": data,
        "tagSpecifications": [{"resourceType": "launch-template", "tags": tags}],
    }


def cluster(inputs: Props) -> Props:
    """The access entries are resources of their own."""
    key = inputs.pop("encryptionConfigKeyArn", None)
    inputs.pop("accessEntries", None)
    encryption = (
        {"encryptionConfig": [{"resources": ["secrets"], "provider": {"keyArn": key}}]} if key else {}
    )
    types = [{"type": t} for t in inputs.pop("enabledClusterLogTypes", [])]
    return {**inputs, **encryption, "enabledClusterLogTypes": types}


def health_check(inputs: Props) -> Props:
    tags = {"healthCheckTags": inputs["tags"]} if "tags" in inputs else {}
    return {"healthCheckConfig": {k: v for k, v in inputs.items() if k != "tags"}, **tags}


def alarm(inputs: Props) -> Props:
    """A metric of a query stands by its place in MetricStat."""
    queries = []
    for query in inputs.get("metricQueries", []):
        metric = dict(query.get("metric", {}))
        stat = {k: metric.pop(k) for k in ("period", "stat", "unit") if k in metric}
        rest = {k: v for k, v in query.items() if k != "metric"}
        queries.append({**rest, "metricStat": {**stat, "metric": metric}} if metric else rest)
    return {**inputs, "metrics": queries} | {"metricQueries": None} if queries else inputs


def web_acl_logging(inputs: Props) -> Props:
    fields = [
        {**one, "singleHeader": {"Name": one["singleHeader"]["name"]}} if "singleHeader" in one else one
        for one in inputs.get("redactedFields", [])
    ]
    return {**inputs, "redactedFields": fields}


def record(inputs: Props) -> Props:
    """The kind of failover stands by itself."""
    policies = inputs.pop("failoverRoutingPolicies", [])
    return {**inputs, **({"failover": policies[0].pop("type"), **policies[0]} if policies else {})}


def lifecycle(inputs: Props) -> Props:
    """Days of expiration stand by themselves; a filter that has nothing in it is left out."""
    rules = [dict(rule) for rule in inputs["rules"]]
    for rule in rules:
        rule["expirationInDays"] = rule["expiration"].pop("days", None)
        for key in [k for k in ("expiration", "filter") if not rule.get(k)]:
            rule.pop(key, None)
    return {**inputs, "rules": rules}


_HEALTH = {
    "path": "healthCheckPath",
    "protocol": "healthCheckProtocol",
    "port": "healthCheckPort",
    "interval": "healthCheckIntervalSeconds",
    "timeout": "healthCheckTimeoutSeconds",
    "healthyThreshold": "healthyThresholdCount",
    "unhealthyThreshold": "unhealthyThresholdCount",
}


def webhook(inputs: Props) -> Props:
    """A group of filters is its filters."""
    return {**inputs, "webhook": True, "filterGroups": [g["filters"] for g in inputs["filterGroups"]]}


def listener(inputs: Props) -> Props:
    """The certificate is the first of a list."""
    arn = inputs.pop("certificateArn", None)
    return {**inputs, "certificateArn": [{"certificateArn": arn}]} if arn else inputs


_FIELDS = {
    "hostHeader": "host-header",
    "httpHeader": "http-header",
    "httpRequestMethod": "http-request-method",
    "pathPattern": "path-pattern",
    "queryStrings": "query-string",
    "sourceIp": "source-ip",
}


def listener_rule(inputs: Props) -> Props:
    """A condition says which field it looks at."""
    conditions = [{"field": _FIELDS[next(iter(one))], **one} for one in inputs["conditions"]]
    return {**inputs, "conditions": conditions}


def load_balancer(inputs: Props) -> Props:
    """Most of it are attributes."""
    keys = {
        "desyncMitigationMode": "routing.http.desync_mitigation_mode",
        "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
        "enableDeletionProtection": "deletion_protection.enabled",
        "enableZonalShift": "zonal_shift.config.enabled",
        "idleTimeout": "idle_timeout.timeout_seconds",
    }
    scheme = "internal" if inputs.get("internal") else "internet-facing"
    return attributes("loadBalancerAttributes", keys, {**inputs, "internal": scheme})


def target_group(inputs: Props) -> Props:
    """The health check's fields stand by themselves."""
    check = inputs.pop("healthCheck", {})
    matcher = {"matcher": {"httpCode": check.pop("matcher")}} if "matcher" in check else {}
    fields = {_HEALTH.get(k, f"healthCheck.{k}"): v for k, v in check.items()}
    keys = {"deregistrationDelay": "deregistration_delay.timeout_seconds"}
    return attributes("targetGroupAttributes", keys, {**inputs, **fields, **matcher})


def access_entries(inputs: Props) -> list[tuple[str, Props]]:
    """What the component makes of the cluster's access entries."""
    return [
        (
            "AWS::EKS::AccessEntry",
            {
                "ClusterName": inputs["name"],
                "PrincipalArn": entry["principalArn"],
                **({"KubernetesGroups": groups} if (groups := entry.get("kubernetesGroups")) else {}),
                "AccessPolicies": [
                    {"PolicyArn": one["policyArn"], "AccessScope": {"Type": one["accessScope"]["type"]}}
                    for one in entry["accessPolicies"].values()
                ],
            },
        )
        for entry in inputs["accessEntries"].values()
    ]


def node(inputs: Props) -> list[tuple[str, Props]]:
    """Which machines a region has, only an instance's schema knows."""
    types = inputs["instanceTypes"]
    return [("AWS::EC2::Instance", {"InstanceType": t, "ImageId": "ami-0123456789abcdef0"}) for t in types]


def cache_node(inputs: Props) -> list[tuple[str, Props]]:
    """Which nodes a region has, and which versions an engine, only a single cache's schema knows."""
    known = {
        "CacheNodeType": inputs["nodeType"],
        **{k: inputs[k.lower()[0] + k[1:]] for k in ("Engine", "EngineVersion")},
    }
    return [("AWS::ElastiCache::CacheCluster", {**known, "NumCacheNodes": 1})]
