"""Every figure of the architecture, row by row, on what the program declares; in both mock modes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from point_infra.config import versions
from point_infra.foundation.network import subnet_cidrs

A, B, C = "ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c"


def test_a1_the_vpc_is_10_0_0_0_16_over_three_zones(prod: Any) -> None:
    assert prod.one(":Vpc")["cidrBlock"] == "10.0.0.0/16"
    subnets = prod.of("subnet:Subnet").values()
    assert sorted(s["availabilityZone"] for s in subnets) == [A, A, A, B, B, B, C, C, C]
    assert not any(s["mapPublicIpOnLaunch"] for s in subnets)


def test_a1_the_subnets_don_t_overlap_and_lie_in_the_vpc(prod: Any) -> None:
    declared = {s["cidrBlock"] for s in prod.of("subnet:Subnet").values()}
    assert declared == {c for cidrs in subnet_cidrs("10.0.0.0/16").values() for c in cidrs}
    assert subnet_cidrs("10.0.0.0/16") == {
        "public": ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"],
        "private": ["10.0.16.0/20", "10.0.32.0/20", "10.0.48.0/20"],
        "data": ["10.0.64.0/24", "10.0.65.0/24", "10.0.66.0/24"],
    }


def test_a1_nodes_are_in_private_subnets_and_data_has_no_way_out(updated: Any) -> None:
    groups = updated.of(":NodeGroup").values()
    assert {s for g in groups for s in g["subnetIds"]} == {f"network-private-{z}" for z in "abc"}
    assert set(updated.one("rds/subnetGroup:SubnetGroup")["subnetIds"]) == {
        f"network-data-{z}" for z in "abc"
    }
    assert set(updated.one("elasticache/subnetGroup:SubnetGroup")["subnetIds"]) == {
        f"network-data-{z}" for z in "abc"
    }
    assert set(updated.of("route:Route")) == {"network-public", *(f"network-private-{z}" for z in "abc")}


def test_a1_each_zone_has_its_own_nat_gateway(prod: Any, dev: Any) -> None:
    assert len(prod.of(":NatGateway")) == 3
    assert len(dev.of(":NatGateway")) == 1


def test_a1_the_flow_log_s_role_may_do_what_it_must_at_least_but_make_a_group_without_an_end(
    updated: Any,
) -> None:
    """VPC user guide, "IAM role for publishing flow logs to CloudWatch Logs"."""
    document = json.loads(updated.of(":RolePolicy")["network-flow"]["policy"])
    actions = {
        a
        for s in document["Statement"]
        for a in (s["Action"] if isinstance(s["Action"], list) else [s["Action"]])
    }
    least = {"CreateLogGroup", "CreateLogStream", "PutLogEvents", "DescribeLogGroups", "DescribeLogStreams"}
    assert {f"logs:{a}" for a in least} - actions == {"logs:CreateLogGroup"}


def test_a2_routing_is_by_health_check(updated: Any) -> None:
    records = updated.of(":Record")
    assert records["routing-primary"]["failoverRoutingPolicies"] == [{"type": "PRIMARY"}]
    assert records["routing-primary"]["healthCheckId"] == "routing"
    assert records["routing-secondary"]["failoverRoutingPolicies"] == [{"type": "SECONDARY"}]
    check = updated.one(":HealthCheck")
    assert (check["type"], check["resourcePath"]) == ("HTTPS", "/healthz")
    assert check["fqdn"] == "origin.points.example.com"


def test_a3_the_load_balancer_faces_the_internet_with_https_only(prod: Any) -> None:
    balancer = prod.one(":LoadBalancer")
    assert balancer["internal"] is False
    assert balancer["dropInvalidHeaderFields"] is True
    listeners = prod.of(":Listener")
    assert (listeners["edge-https"]["port"], listeners["edge-https"]["protocol"]) == (443, "HTTPS")
    assert "TLS13" in listeners["edge-https"]["sslPolicy"]
    # A redirect by 301 makes a GET of a POST, and hides that each request carries its token in plain text: only who
    # reads a page is sent on.
    refused = listeners["edge-http"]["defaultActions"][0]
    assert (refused["type"], refused["fixedResponse"]["statusCode"]) == ("fixed-response", "403")
    api, reads = sorted(prod.of(":ListenerRule").values(), key=lambda rule: rule["priority"])
    assert (api["conditions"], api["actions"]) == ([{"pathPattern": {"values": ["/v1/*"]}}], [refused])
    assert reads["conditions"] == [{"httpRequestMethod": {"values": ["GET", "HEAD"]}}]
    assert reads["actions"][0]["redirect"]["protocol"] == "HTTPS"
    assert prod.of(":CertificateValidation")


def test_a3_the_targets_health_is_the_gateways_own(prod: Any) -> None:
    targets = prod.one(":TargetGroup")
    assert (targets["targetType"], targets["protocol"], targets["port"]) == ("ip", "HTTPS", 443)
    assert (targets["healthCheck"]["port"], targets["healthCheck"]["path"]) == ("15021", "/healthz/ready")


def test_a4_three_m5_large_nodes_one_in_each_zone(updated: Any) -> None:
    groups = updated.of(":NodeGroup")
    assert [g["instanceTypes"] for g in groups.values()] == [["m5.large"]] * 3
    assert [g["scalingConfig"]["desiredSize"] for g in groups.values()] == [1, 1, 1]
    assert sorted(s for g in groups.values() for s in g["subnetIds"]) == [
        f"network-private-{z}" for z in "abc"
    ]


def test_a4_the_cluster_is_private_encrypted_and_logged(prod: Any) -> None:
    cluster = prod.one("eks:index:Cluster")
    assert cluster["version"] == "1.36"
    assert cluster["endpointPublicAccess"] is False
    assert cluster["authenticationMode"] == "API"
    assert set(cluster["enabledClusterLogTypes"]) >= {"api", "audit", "authenticator"}
    assert cluster["upgradePolicy"] == {"supportType": "STANDARD"}


def test_a2_while_the_service_fails_every_answer_is_503(prod: Any) -> None:
    page = prod.one(":Distribution")
    assert "defaultRootObject" not in page  # "/" would be 200
    assert {e["responseCode"] for e in page["customErrorResponses"]} == {503}
    (path,) = {e["responsePagePath"] for e in page["customErrorResponses"]}
    assert path == "/" + prod.one(":BucketObjectv2")["key"]


def test_a2_buckets_admit_this_account_s_logs_and_this_distribution_alone(updated: Any) -> None:
    logs, page = (
        json.loads(updated.of(":BucketPolicy")[name]["policy"])["Statement"][0]
        for name in ("edge-logs", "standby")
    )
    assert logs["Resource"].endswith("/AWSLogs/123456789012/*")
    assert page["Condition"]["StringEquals"]["aws:SourceArn"].endswith("distribution/standby")


def test_a2_each_validation_record_is_that_of_its_name(updated: Any) -> None:
    records = {n: r["name"] for n, r in updated.of(":Record").items() if "validation" in n}
    assert records == {
        "dns-validation-service": "_validation.points.example.com",
        "dns-validation-origin": "_validation.origin.points.example.com",
    }


def test_a4_whoever_is_named_reaches_the_private_api_and_before_anything_is_installed(
    run_stack: Callable[..., Any],
) -> None:
    made = run_stack("prod", preview=False, apiPrivateClients=["sg-0123456789abcdef0", "10.9.0.0/16"])
    rules = {n: r for n, r in made.of(":SecurityGroupIngressRule").items() if n.startswith("cluster-api-")}
    assert {n: (r["securityGroupId"], r["fromPort"], r["toPort"]) for n, r in rules.items()} == dict.fromkeys(
        ("cluster-api-sg-0123456789abcdef0", "cluster-api-10.9.0.0/16"), ("sg-cluster", 443, 443)
    )
    assert rules["cluster-api-sg-0123456789abcdef0"]["referencedSecurityGroupId"] == "sg-0123456789abcdef0"
    assert rules["cluster-api-10.9.0.0/16"]["cidrIpv4"] == "10.9.0.0/16"


def test_u1_what_a_user_needs_in_between_is_an_output_of_the_foundation(
    run_stack: Callable[..., Any],
) -> None:
    """The certificate waits until the zone is delegated, an image until it is pushed, `up` for a way to the API."""
    made = run_stack("dev", preview=False, stage="foundation")
    assert {"nameServers", "repositories", "vpcId", "privateSubnetIds"} <= made.outputs.keys()
    assert made.of(":Zone")
    assert not made.of(":CertificateValidation")
    assert not made.of("eks:index:Cluster")


def test_a4_the_api_opens_only_to_named_ranges(run_stack: Callable[..., Any]) -> None:
    cluster = run_stack("dev", preview=False, apiAllowedCidrs=["203.0.113.0/24"]).one("eks:index:Cluster")
    assert cluster["endpointPublicAccess"] is True
    assert cluster["publicAccessCidrs"] == ["203.0.113.0/24"]


def test_a5_to_a7_istio_is_of_one_version_and_keeps_its_telemetry(prod: Any) -> None:
    releases = prod.of(":Release")
    assert {
        releases[n]["version"] for n in ("istio-base", "istio-cni", "istiod", "istio-ingressgateway")
    } == {"1.31.0"}
    assert "telemetry" not in releases["istiod"]["values"]
    assert releases["istiod"]["values"]["autoscaleMin"] == 2
    assert releases["istio-ingressgateway"]["values"]["service"]["type"] == "ClusterIP"


def test_a7_no_pod_of_the_mesh_needs_rights_over_its_network(prod: Any) -> None:
    releases = prod.of(":Release")
    assert releases["istiod"]["values"]["cni"] == {"enabled": True}
    assert releases["istio-cni"]["namespace"] == "kube-system"
    levels = {
        n["metadata"]["name"]: n["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce")
        for n in prod.of(":Namespace").values()
    }
    # The node exporter, which Prometheus's chart brings, looks at its node.
    assert {n for n, level in levels.items() if level != "restricted"} <= {"monitoring"}
    assert {"points", "point-system", "istio-system", "istio-ingress"} <= levels.keys()


def test_a5_the_gateway_has_no_token_for_the_api_server(prod: Any) -> None:
    account = prod.of(":ServiceAccount")["istio-ingressgateway"]
    assert account["automountServiceAccountToken"] is False
    values = prod.of(":Release")["istio-ingressgateway"]["values"]
    assert values["serviceAccount"] == {"create": False, "name": "istio-ingressgateway"}


def test_a9_the_cache_has_its_primary_in_a_and_its_replica_in_c(prod: Any) -> None:
    cache = prod.one(":ReplicationGroup")
    assert cache["nodeGroupConfigurations"] == [
        {
            "nodeGroupId": "0001",
            "slots": "0-16383",
            "primaryAvailabilityZone": A,
            "replicaAvailabilityZones": [C],
            "replicaCount": 1,
        }
    ]
    assert (cache["engine"], cache["nodeType"], cache["numNodeGroups"]) == ("redis", "cache.r5.large", 1)
    assert cache["automaticFailoverEnabled"]
    assert cache["multiAzEnabled"]
    parameters = prod.one("elasticache/parameterGroup:ParameterGroup")["parameters"]
    assert {"name": "cluster-enabled", "value": "yes"} in parameters


def test_a10_aurora_has_its_writer_in_a_and_its_reader_in_c(prod: Any) -> None:
    instances = prod.of(":ClusterInstance")
    assert instances["database-writer"]["availabilityZone"] == A
    assert instances["database-reader"]["availabilityZone"] == C
    assert {i["instanceClass"] for i in instances.values()} == {"db.r5.large"}
    assert {i["publiclyAccessible"] for i in instances.values()} == {False}
    cluster = prod.one("rds/cluster:Cluster")
    assert cluster["engine"] == "aurora-mysql"
    assert cluster["storageEncrypted"]
    assert cluster["backupRetentionPeriod"] == 14
    assert cluster["deletionProtection"]


def test_a10_aurora_is_audited_and_its_authority_is_one_of_those_that_pods_trust(updated: Any) -> None:
    cluster = updated.one("rds/cluster:Cluster")
    assert set(cluster["enabledCloudwatchLogsExports"]) == {"audit", "error", "slowquery"}
    assert {i["caCertIdentifier"] for i in updated.of(":ClusterInstance").values()} == {"rds-ca-rsa2048-g1"}
    trusted = updated.of(":Secret")["points-db-ca"]["stringData"]["value"]["ca.crt"]
    certificates = x509.load_pem_x509_certificates(trusted.encode())
    # SHA-256 of AWS's own bundle for Seoul, to compare with `openssl x509 -fingerprint -sha256`.
    assert {c.fingerprint(hashes.SHA256()).hex() for c in certificates} == {
        "e8de13bf9665ba1a2967008028ffe4f9b4f0a6def6e3caf76e0d496cd6facffc",
        "00ff49c08b7d5dc53328784986580948d06ee9b2f0f1e6b6eae70ccdedf5f757",
        "f47a584f42f3d9fd1e0f8908ae65a67ec7cc50340a616871563bde5d889a9cc0",
    }
    for certificate in certificates:
        certificate.verify_directly_issued_by(certificate)
        assert "Amazon RDS ap-northeast-2 Root CA" in certificate.subject.rfc4514_string()
        assert certificate.not_valid_after_utc.year >= 2061


@pytest.mark.parametrize("version", versions.KUBERNETES)
def test_a4_add_ons_and_nodes_are_of_the_versions_that_are_pinned_for_the_cluster_s(
    run_stack: Callable[..., Any], version: str
) -> None:
    made = run_stack("prod", preview=False, kubernetesVersion=version)
    addons = {a["addonName"]: a["addonVersion"] for a in made.of(":Addon").values()}
    assert addons == versions.ADD_ONS[version]
    assert addons["kube-proxy"].startswith(f"v{version}.")
    releases = {g["releaseVersion"] for g in made.of(":NodeGroup").values()}
    assert releases == {versions.NODE_RELEASES[version]}
    assert all(r.startswith(f"{version}.") for r in releases)


def test_a4_raising_the_nodes_of_a_zone_raises_what_is_wanted_and_takes_none_that_may_stay(
    run_stack: Callable[..., Any],
) -> None:
    running = {
        "eks-cluster-a-1a2b3c4-0f": 3,
        "eks-cluster-c-1a2b3c4-0f": 5,
        "eks-cluster-b-1a2b3c4-0f": 1,
        "eks-cluster-ab-1a2b3c4-0f": 9,
    }
    made = run_stack("prod", preview=False, groups=running, nodesPerZone=2)
    sizes = {n: g["scalingConfig"] for n, g in made.of(":NodeGroup").items()}
    assert {n: s["desiredSize"] for n, s in sizes.items()} == {"cluster-a": 3, "cluster-b": 2, "cluster-c": 3}
    assert all(s["minSize"] == 2 <= s["desiredSize"] <= s["maxSize"] for s in sizes.values())


def test_a4_a_role_that_leaves_the_list_takes_only_its_own_entry_along(run_stack: Callable[..., Any]) -> None:
    first, second = (f"arn:aws:iam::123456789012:role/{r}" for r in ("team/first", "second"))
    both, one = (
        run_stack("prod", preview=False, adminRoleArns=arns).one("eks:index:Cluster")["accessEntries"]
        for arns in ([first, second], [second])
    )
    assert both.keys() - one.keys() == {"123456789012-team-first"}
    assert one == {k: v for k, v in both.items() if k in one}
    assert {e["tags"]["Environment"] for e in both.values()} == {"prod"}


def test_a4_network_policies_are_enforced_and_nothing_is_instrumented(updated: Any) -> None:
    """An instrumented pod has an init container without a security context, which a restricted namespace refuses."""
    values = {
        a["addonName"]: json.loads(a["configurationValues"])
        for a in updated.of(":Addon").values()
        if "configurationValues" in a
    }
    assert values["vpc-cni"] == {"enableNetworkPolicy": "true"}
    agent = values["amazon-cloudwatch-observability"]
    assert agent["applicationSignals"] == {"enabled": False}
    assert agent["manager"]["applicationSignals"]["autoMonitor"] == {"monitorAllServices": False}


def test_a13_grafana_s_password_is_this_stack_s_own(updated: Any) -> None:
    values = updated.of(":Release")["kube-prometheus-stack"]["values"]["grafana"]
    made = updated.of(":Secret")[values["admin"]["existingSecret"]]
    assert set(made["stringData"]["value"]) == {"admin-user", "admin-password"}


def test_a11_both_cache_nodes_are_watched_since_either_may_be_the_primary(updated: Any) -> None:
    watched = [
        (a["metricName"], a["dimensions"]["CacheClusterId"])
        for a in updated.of(":MetricAlarm").values()
        if a.get("namespace") == "AWS/ElastiCache"
    ]
    assert {m for m, node in watched if node.endswith("001")} == {
        m for m, node in watched if node.endswith("002")
    }
    assert len(watched) == 8


def test_a11_logs_are_kept_90_days_and_alarms_reach_a_topic(updated: Any) -> None:
    groups = updated.of(":LogGroup")
    assert {g["retentionInDays"] for g in groups.values()} == {90}
    assert {g["name"] for g in groups.values()} >= {
        "/aws/eks/point-prod/cluster",
        "/aws/rds/cluster/point-prod/slowquery",
        "/aws/containerinsights/point-prod/application",
    }
    alarms = updated.of(":MetricAlarm")
    watched = {a.get("namespace") for a in alarms.values()}
    assert watched >= {"AWS/ApplicationELB", "AWS/RDS", "AWS/ElastiCache", "AWS/NATGateway", "AWS/Route53"}
    # An alarm can only tell a topic of its own region.
    heard = updated.of(":TopicSubscription").values()
    assert {s["topic"] for s in heard} == {topic for a in alarms.values() for topic in a["alarmActions"]}
    assert {t["region"] for t in updated.of(":Topic").values()} == {"ap-northeast-2", "us-east-1"}
    assert {a["region"] for a in alarms.values() if "region" in a} == {"us-east-1"}


def test_a12_alerts_of_prometheus_go_where_cloudwatch_s_alarms_go(updated: Any) -> None:
    config = updated.of(":Release")["kube-prometheus-stack"]["values"]["alertmanager"]["config"]
    (sns,) = next(r for r in config["receivers"] if r["name"] == config["route"]["receiver"])["sns_configs"]
    assert sns == {"topic_arn": updated.outputs["alarmTopicArn"], "sigv4": {"region": "ap-northeast-2"}}
    granted = updated.of(":PodIdentityAssociation")["cluster-alertmanager"]
    assert (granted["namespace"], granted["serviceAccount"]) == ("monitoring", "alertmanager")


def test_a11_the_dashboard_draws_every_alarm(updated: Any) -> None:
    widgets = json.loads(updated.one(":Dashboard")["dashboardBody"])["widgets"]
    assert len(widgets) >= 18
    assert all(w["properties"]["annotations"]["horizontal"] for w in widgets)


def test_a12_to_a14_prometheus_grafana_and_kiali_are_installed(prod: Any) -> None:
    releases = prod.of(":Release")
    assert {r["chart"] for r in releases.values()} >= {"kube-prometheus-stack", "kiali-server"}
    grafana = releases["kube-prometheus-stack"]["values"]["grafana"]
    assert grafana["sidecar"]["dashboards"]["label"] == "grafana_dashboard"


def test_a15_data_survives_the_loss_of_any_zone(prod: Any) -> None:
    cache = prod.one(":ReplicationGroup")["nodeGroupConfigurations"][0]
    assert len({cache["primaryAvailabilityZone"], *cache["replicaAvailabilityZones"]}) == 2
    assert len({i["availabilityZone"] for i in prod.of(":ClusterInstance").values()}) == 2


def test_a16_the_load_balancer_reaches_the_gateway_and_pods_reach_the_data(updated: Any) -> None:
    rules = updated.of(":SecurityGroupIngressRule")
    assert rules["database-pods"]["referencedSecurityGroupId"] == "sg-cluster"
    assert rules["cache-pods"]["referencedSecurityGroupId"] == "sg-cluster"
    assert {r["fromPort"] for n, r in rules.items() if n.startswith("edge-to-pods")} == {443, 15021}
    binding = updated.one(":TargetGroupBinding")["spec"]
    assert binding["serviceRef"] == {"name": "istio-ingressgateway", "port": 443}


def test_u1_what_runs_stays_in_the_registry_for_hundreds_of_pushes(prod: Any) -> None:
    for policy in prod.of(":LifecyclePolicy").values():
        kept, rest = json.loads(policy["policy"])["rules"]
        # Counted by tag: a push is five images, of which only the index has one.
        assert (kept["selection"]["tagStatus"], kept["selection"]["countNumber"]) == ("tagged", 300)
        assert rest["selection"]["tagStatus"] == "untagged"


def test_u1_the_operator_comes_from_the_registry_by_digest(updated: Any) -> None:
    containers = updated.one(":Deployment")["spec"]["template"]["spec"]["containers"]
    assert "@sha256:" in containers[0]["image"]
    assert updated.of(":CustomResourceDefinition")


def test_u2_the_point_service_is_an_output_and_made_only_when_wanted(
    updated: Any, run_stack: Callable[..., Any]
) -> None:
    assert not updated.of(":PointService")
    made = run_stack("prod", preview=False, createPointService=True).one(":PointService")
    assert made["spec"] == yaml.safe_load(updated.outputs["pointServiceYaml"])["spec"]
