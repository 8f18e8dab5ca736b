"""What `point-infra doctor` makes of an account's answers."""

from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber
from point_infra.doctor import access, names, offers, quotas, taken
from point_infra.doctor.account import Account
from point_infra.doctor.finding import Finding, Mark, because
from point_infra.doctor.needs import Cache, Database, Nodes

ZONES = ("ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c")
GROUP = Nodes(
    name="cluster-a",
    types=("m5.large",),
    spot=False,
    start=1,
    most=3,
    ami_type="AL2023_x86_64_STANDARD",
    release="1.36.4-20260930",
)
VCPUS = quotas.STANDARD[False]


def _stubbed(service: str) -> tuple[Account, Stubber]:
    """An account of which one service answers from a list, by AWS's own model."""
    account = Account("ap-northeast-2")
    client = boto3.client(
        service, region_name="ap-northeast-2", aws_access_key_id="t", aws_secret_access_key="t"
    )
    account.clients[service] = client
    return account, Stubber(client)


def _said(finding: Finding) -> str:
    assert "\n" not in finding.line()
    return finding.line()


@pytest.mark.parametrize(
    ("allowed", "used", "mark"),
    [(18, 0, Mark.OK), (6, 0, Mark.WARNING), (5, 0, Mark.FAILED), (64, 60, Mark.FAILED)],
)
def test_nodes_must_fit_the_quota_at_the_start_and_should_at_most(
    allowed: float, used: int, mark: Mark
) -> None:
    wanted = quotas.vcpus([GROUP] * 3, lambda _: 2)
    assert wanted == (6, 18)
    found = quotas.compute("vCPUs", VCPUS, allowed, used, wanted)
    assert found.mark == mark
    if mark == Mark.FAILED:
        assert f"--quota-code L-1216C47A --desired-value {used + 18}" in _said(found)


def test_the_document_shows_what_an_account_whose_quota_nobody_raised_is_told() -> None:
    line = quotas.compute("vCPUs", VCPUS, 5, 0, (6, 18)).line()
    document = Path(__file__).resolve().parents[3] / "docs" / "deploy.md"
    assert line in " ".join(document.read_text().split())


def test_a_group_that_may_choose_counts_with_its_largest_type() -> None:
    group = Nodes("a", ("t4g.large", "m6g.xlarge"), True, 1, 2, "", "")
    assert quotas.vcpus([group], {"t4g.large": 2, "m6g.xlarge": 4}.__getitem__) == (4, 8)


@pytest.mark.parametrize(
    ("type_", "counts"),
    [
        ("m5.large", True),
        ("t4g.medium", True),
        ("im4gn.large", True),
        ("g5.xlarge", False),
        ("inf2.xlarge", False),
    ],
)
def test_only_the_standard_families_count_against_their_quota(type_: str, *, counts: bool) -> None:
    assert quotas.standard(type_) == counts


def test_addresses_count_with_what_others_use() -> None:
    assert quotas.count("Elastic IPs", quotas.ADDRESSES, 5, 2, 3).mark == Mark.OK
    assert "--desired-value 6" in _said(quotas.count("Elastic IPs", quotas.ADDRESSES, 5, 3, 3))


def test_a_node_type_is_needed_in_every_zone_and_one_of_several_is_enough() -> None:
    both = Nodes("a", ("m9g.large", "m5.large"), True, 1, 1, "", "")
    offered = {"m9g.large": set(ZONES[:1]), "m5.large": set(ZONES[1:])}
    assert offers.instance_types(both, ZONES, offered).mark == Mark.OK
    lone = offers.instance_types(GROUP, ZONES, {"m5.large": set(ZONES[:2])})
    assert lone.mark == Mark.FAILED
    assert "not offered in ap-northeast-2c" in lone.found
    assert "no zone" in offers.instance_types(GROUP, ZONES, {"m5.large": set()}).found


def test_a_zone_that_is_not_there_is_named_beside_those_that_are() -> None:
    found = offers.zones((*ZONES[:2], "ap-northeast-2e"), ZONES)
    assert found.mark == Mark.FAILED
    assert "ap-northeast-2e" in found.found
    assert ", ".join(ZONES) in found.then


def test_a_database_is_judged_by_version_and_by_class_in_its_zone() -> None:
    db = Database(
        "aurora-mysql", "8.0.mysql_aurora.3.12.0", (("db.r5.large", ZONES[0]), ("db.r5.large", ZONES[2]))
    )
    there = {"db.r5.large": {ZONES[0]}}
    version, writer, reader = offers.database(db, there, ["8.0.mysql_aurora.3.12.0"])
    assert [version.mark, writer.mark, reader.mark] == [Mark.OK, Mark.OK, Mark.FAILED]
    assert "can't be ordered in ap-northeast-2c" in reader.found
    (gone,) = offers.database(db, there, ["8.0.mysql_aurora.3.11.1", "5.7.mysql_aurora.2.12.5"])
    assert "3.11.1" in gone.then
    assert offers.database(db, {"db.r5.large": set()}, [db.version])[1].mark == Mark.FAILED


@pytest.mark.parametrize(
    ("there", "mark"), [(["7.0", "7.1"], Mark.OK), (["7.1.0"], Mark.OK), (["7.0"], Mark.FAILED)]
)
def test_a_cache_version_may_carry_a_patch_number(there: list[str], mark: Mark) -> None:
    assert offers.cache_version(Cache("redis", "7.1", "cache.r5.large"), there).mark == mark


def test_a_pinned_add_on_is_looked_up_for_its_kubernetes() -> None:
    account, stub = _stubbed("eks")
    stub.add_response(
        "describe_addon_versions",
        {
            "addons": [
                {"addonName": "vpc-cni", "addonVersions": [{"addonVersion": "v2"}, {"addonVersion": "v1"}]}
            ]
        },
        {"addonName": "vpc-cni", "kubernetesVersion": "1.36"},
    )
    with stub:
        versions = account.addon_versions("vpc-cni", "1.36")
    assert offers.addon("vpc-cni", "v1", "1.36", versions).mark == Mark.OK
    gone = offers.addon("vpc-cni", "v0", "1.36", versions)
    assert gone.mark == Mark.FAILED
    assert "the newest is v2" in gone.found


@pytest.mark.parametrize(
    ("answer", "mark"),
    [
        ([{"clusterVersion": "1.36", "versionStatus": "STANDARD_SUPPORT"}], Mark.OK),
        ([{"clusterVersion": "1.36", "versionStatus": "EXTENDED_SUPPORT"}], Mark.FAILED),
        ([], Mark.FAILED),
    ],
)
def test_kubernetes_must_have_standard_support(answer: list[dict[str, str]], mark: Mark) -> None:
    account, stub = _stubbed("eks")
    stub.add_response("describe_cluster_versions", {"clusterVersions": answer}, {"clusterVersions": ["1.36"]})
    with stub:
        assert offers.kubernetes("1.36", account.kubernetes("1.36")).mark == mark


def test_what_eks_does_not_know_is_not_there_rather_than_unasked() -> None:
    account, stub = _stubbed("eks")
    stub.add_client_error("describe_cluster_versions", "InvalidParameterException")
    stub.add_client_error("describe_addon_versions", "ResourceNotFoundException")
    with stub:
        assert account.kubernetes("9.9") is None
        assert account.addon_versions("vpc-cnj", "1.36") == []
    assert "none fits" in offers.addon("vpc-cnj", "v1", "1.36", []).found


def test_a_quota_that_was_never_raised_is_the_default() -> None:
    account, stub = _stubbed("service-quotas")
    asked = {"ServiceCode": "ec2", "QuotaCode": "L-1216C47A"}
    stub.add_client_error("get_service_quota", "NoSuchResourceException", expected_params=asked)
    stub.add_response("get_aws_default_service_quota", {"Quota": {"Value": 5.0}}, asked)
    with stub:
        assert account.quota(*VCPUS) == 5.0


def test_the_rights_of_a_session_are_those_of_its_role_with_its_boundary() -> None:
    assert (
        access.role_of("arn:aws:sts::123456789012:assumed-role/point-platform-deploy/me")
        == "point-platform-deploy"
    )
    assert access.role_of("arn:aws:iam::123456789012:user/me") is None
    account, stub = _stubbed("iam")
    boundary = "arn:aws:iam::123456789012:policy/point-platform-boundary"
    stub.add_response(
        "simulate_principal_policy",
        {
            "EvaluationResults": [
                {"EvalActionName": "ec2:CreateVpc", "EvalDecision": "allowed"},
                {"EvalActionName": "iam:CreateRole", "EvalDecision": "explicitDeny"},
            ]
        },
        {
            "PolicySourceArn": "arn:aws:iam::123456789012:role/x",
            "ActionNames": ["ec2:CreateVpc", "iam:CreateRole"],
            "ContextEntries": [
                {
                    "ContextKeyName": "iam:PermissionsBoundary",
                    "ContextKeyValues": [boundary],
                    "ContextKeyType": "string",
                }
            ],
        },
    )
    with stub:
        refused = account.refused(
            "arn:aws:iam::123456789012:role/x", ["ec2:CreateVpc", "iam:CreateRole"], boundary
        )
    assert refused == ["iam:CreateRole"]
    assert "permissionsBoundary" in access.rights(["iam:CreateRole"], refused, bounded=False).then
    assert "permissionsBoundary" not in access.rights(["iam:CreateRole"], refused, bounded=True).then


@pytest.mark.parametrize(
    ("environment", "status", "mark", "then"),
    [
        ("ap-northeast-2", "opt-in-not-required", Mark.OK, ""),
        ("us-east-1", "opt-in-not-required", Mark.FAILED, "export AWS_REGION=ap-northeast-2"),
        (None, "opted-in", Mark.WARNING, "export AWS_REGION=ap-northeast-2"),
        (
            "ap-northeast-2",
            "not-opted-in",
            Mark.FAILED,
            "aws account enable-region --region-name ap-northeast-2",
        ),
        ("ap-northeast-2", None, Mark.FAILED, "set aws:region"),
    ],
)
def test_the_region_is_on_and_is_the_one_that_the_aws_program_uses(
    environment: str | None, status: str | None, mark: Mark, then: str
) -> None:
    (found,) = access.region("ap-northeast-2", environment, status)
    assert (found.mark, found.then) == (mark, then)


@pytest.mark.parametrize(
    ("public", "private", "seen_as", "inside_as", "mark"),
    [
        (["203.0.113.0/24"], [], "203.0.113.9", {}, Mark.OK),
        (["203.0.113.0/24"], [], "198.51.100.1", {}, Mark.FAILED),
        (["203.0.113.0/24"], [], "2001:db8::1", {}, Mark.FAILED),
        (["203.0.113.0/24"], [], None, {}, Mark.UNKNOWN),
        ([], ["10.0.0.0/16"], None, {"10.0.0.0/16": "10.0.3.4"}, Mark.OK),
        ([], ["10.0.0.0/16"], None, {"10.0.0.0/16": "192.168.1.4"}, Mark.FAILED),
        ([], ["10.0.0.0/16"], None, {}, Mark.FAILED),
        ([], ["sg-0123456789abcdef0"], None, {}, Mark.UNKNOWN),
        ([], [], None, {}, Mark.FAILED),
    ],
)
def test_the_api_lets_this_machine_in_by_its_address(
    public: list[str], private: list[str], seen_as: str | None, inside_as: dict[str, str], mark: Mark
) -> None:
    found = access.api(public, private, seen_as, inside_as)
    assert found.mark == mark
    assert (found.then == "") == (mark in (Mark.OK, Mark.UNKNOWN))


@pytest.mark.parametrize(
    ("zone_id", "create", "ids", "mark"),
    [
        ("", False, ["Z1"], Mark.OK),
        ("", False, [], Mark.FAILED),
        ("", False, ["Z1", "Z2"], Mark.FAILED),
        ("Z2", False, ["Z1", "Z2"], Mark.OK),
        ("Z3", False, ["Z1", "Z2"], Mark.FAILED),
        ("", True, [], Mark.OK),
        ("", True, ["Z1"], Mark.WARNING),
    ],
)
def test_one_zone_is_taken_or_one_is_made(zone_id: str, ids: list[str], mark: Mark, *, create: bool) -> None:
    assert names.zone("example.com", zone_id, create=create, ids=ids).mark == mark


@pytest.mark.parametrize(
    ("public", "mark"),
    [
        (["NS-1.awsdns-01.com.", "ns-2.awsdns-02.net."], Mark.OK),
        (["ns-1.awsdns-01.com."], Mark.WARNING),
        (["ns1.registrar.example."], Mark.FAILED),
        ([], Mark.FAILED),
    ],
)
def test_the_world_must_be_sent_to_the_zone_s_own_name_servers(public: list[str], mark: Mark) -> None:
    found = names.delegation("example.com", ["ns-1.awsdns-01.com", "ns-2.awsdns-02.net"], public)
    assert found.mark == mark
    assert ("ns-1.awsdns-01.com, ns-2.awsdns-02.net" in found.then) == (mark != Mark.OK)


@pytest.mark.parametrize(
    ("digest", "there", "mark"),
    [
        ("sha256:" + "0" * 64, set[str](), Mark.WARNING),
        ("sha256:" + "2" * 64, {"arm64", "amd64"}, Mark.OK),
        ("sha256:" + "2" * 64, {"amd64"}, Mark.FAILED),
        ("sha256:" + "2" * 64, set[str](), Mark.OK),
        ("sha256:" + "2" * 64, None, Mark.FAILED),
    ],
)
def test_an_image_is_in_the_repository_for_the_nodes_processor(
    digest: str, there: set[str] | None, mark: Mark
) -> None:
    assert names.image("point-prod/point-service", digest, {"arm64"}, there).mark == mark


VPC = {
    "subnet-a": taken.Subnet("vpc-1", ZONES[0], frozenset({"kubernetes.io/role/internal-elb"})),
    "subnet-b": taken.Subnet("vpc-1", ZONES[1], frozenset()),
    "subnet-x": taken.Subnet("vpc-2", ZONES[1], frozenset()),
}


@pytest.mark.parametrize(
    ("tier", "ids", "mark", "found"),
    [
        ("data", ["subnet-a", "subnet-b"], Mark.OK, "in ap-northeast-2a, ap-northeast-2b"),
        (
            "private",
            ["subnet-a", "subnet-b"],
            Mark.WARNING,
            "subnet-b without kubernetes.io/role/internal-elb",
        ),
        ("data", ["subnet-b", "subnet-a"], Mark.FAILED, "in ap-northeast-2b, ap-northeast-2a"),
        ("data", ["subnet-a", "subnet-x"], Mark.FAILED, "subnet-x not in vpc-1"),
        ("data", ["subnet-a", "subnet-c"], Mark.FAILED, "subnet-c not in this account and region"),
    ],
)
def test_subnets_are_the_vpc_s_one_a_zone_in_order(tier: str, ids: list[str], mark: Mark, found: str) -> None:
    said = taken.subnets(tier, ids, "vpc-1", ZONES[:2], VPC)
    assert (said.mark, said.found) == (mark, found)


@pytest.mark.parametrize(
    ("there", "addons", "mark"),
    [
        (taken.Cluster("ACTIVE", "vpc-1", ()), taken.ADD_ONS, Mark.OK),
        (taken.Cluster("ACTIVE", "vpc-1", ()), taken.ADD_ONS[1:], Mark.WARNING),
        (taken.Cluster("CREATING", "vpc-1", ()), taken.ADD_ONS, Mark.FAILED),
        (taken.Cluster("ACTIVE", "vpc-2", ()), taken.ADD_ONS, Mark.FAILED),
        (None, (), Mark.FAILED),
    ],
)
def test_a_cluster_that_is_there_is_active_in_the_vpc_with_its_add_ons(
    there: taken.Cluster | None, addons: tuple[str, ...], mark: Mark
) -> None:
    assert taken.cluster("theirs", "vpc-1", there, addons).mark == mark


def test_the_api_lets_the_stack_s_own_runner_in_and_from_here_nobody_can_tell() -> None:
    found = access.api([], ["10.0.0.0/16"], None, {}, runner="point-prod-runner")
    assert found.mark == Mark.UNKNOWN
    assert "only a job of point-prod-runner reaches it" in _said(found)


@pytest.mark.parametrize(
    ("status", "mark"),
    [("AVAILABLE", Mark.OK), ("PENDING", Mark.FAILED), ("ERROR", Mark.FAILED), (None, Mark.FAILED)],
)
@pytest.mark.parametrize("service", ["codeconnections", "codestar-connections"])
def test_a_connection_is_there_and_finished(service: str, status: str | None, mark: Mark) -> None:
    arn = f"arn:aws:{service}:us-east-1:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
    account, stub = _stubbed(service)
    if status:
        stub.add_response(
            "get_connection", {"Connection": {"ConnectionStatus": status}}, {"ConnectionArn": arn}
        )
    else:
        stub.add_client_error("get_connection", "ResourceNotFoundException")
    with stub:
        assert account.connection(arn) == status
    found = taken.connection(arn, status)
    assert found.mark == mark
    assert ("finish it in the console" in _said(found)) == (status in ("PENDING", "ERROR"))


def test_the_api_of_somebody_else_s_cluster_is_reached_publicly_or_not_known() -> None:
    assert access.owners(["0.0.0.0/0"], "203.0.113.9").mark == Mark.OK
    assert access.owners(["198.51.100.0/24"], "203.0.113.9").mark == Mark.UNKNOWN
    assert access.owners([], None).mark == Mark.UNKNOWN


@pytest.mark.parametrize(
    ("status", "there", "mark"),
    [
        ("ISSUED", ["points.example.com", "origin.points.example.com"], Mark.OK),
        ("ISSUED", ["*.example.com", "*.points.example.com"], Mark.OK),
        ("ISSUED", ["points.example.com", "*.example.com"], Mark.FAILED),  # a wildcard is one label
        ("EXPIRED", ["points.example.com", "origin.points.example.com"], Mark.FAILED),
        (None, [], Mark.FAILED),
    ],
)
def test_a_certificate_is_issued_for_the_host_and_its_origin(
    status: str | None, there: list[str], mark: Mark
) -> None:
    wanted = ("points.example.com", "origin.points.example.com")
    assert taken.certificate("arn:aws:acm:x:1:certificate/1", wanted, status, there).mark == mark


def test_a_log_group_of_an_earlier_stack_is_in_the_way_of_a_new_one() -> None:
    eks, flow = "/aws/eks/point-prod/cluster", "/aws/vpc/point-prod"
    assert names.log_groups([eks, flow], taken_over=eks, cluster=True).mark == Mark.OK
    found = names.log_groups([eks, flow], taken_over=eks, cluster=False)
    assert found.then == f"aws logs delete-log-group --log-group-name {flow}"
    assert found.mark == Mark.FAILED


def test_the_log_group_that_the_control_plane_left_is_taken_over() -> None:
    left = "/aws/eks/point-prod/cluster"
    found = names.log_groups([left], taken_over=left, cluster=False)
    assert (found.mark, found.found) == (Mark.OK, f"none in the way; {left} is there and is taken over")


def test_the_image_of_a_release_is_named_as_amazon_names_it() -> None:
    assert offers.image_name(GROUP) == "amazon-eks-node-al2023-x86_64-standard-1.36-v20260930"


def test_what_may_not_be_asked_says_which_call_it_was() -> None:
    account, stub = _stubbed("iam")
    stub.add_client_error("get_policy", "AccessDenied", "User: arn:aws:iam::1:user/me is not\nauthorized")
    with stub, pytest.raises(account.clients["iam"].exceptions.ClientError) as refused:
        account.policy_exists("arn:aws:iam::aws:policy/X")
    assert because(refused.value) == "these credentials may not call GetPolicy"


@pytest.mark.parametrize(("switch", "mark"), [(True, Mark.OK), (None, Mark.OK), (False, Mark.FAILED)])
def test_a_switch_that_somebody_turned_off_would_let_a_plan_keep_nothing(
    switch: bool | None, mark: Mark
) -> None:
    account, backup = _stubbed("backup")
    answer = {} if switch is None else {"Aurora": switch, "S3": False}
    backup.add_response("describe_region_settings", {"ResourceTypeOptInPreference": answer}, {})
    with backup:
        found = taken.backup(account.backs_up("Aurora"))
    assert found.mark == mark
    assert ("update-region-settings" in _said(found)) == (mark == Mark.FAILED)


@pytest.mark.parametrize(
    ("detectors", "features", "mark", "words"),
    [
        ([], [], Mark.WARNING, "off in this region"),
        (["d1"], ["S3_DATA_EVENTS"], Mark.WARNING, "not for the audit logs"),
        (["d1"], ["EKS_AUDIT_LOGS"], Mark.OK, "on, with EKS_AUDIT_LOGS"),
    ],
)
def test_who_watches_nothing_is_told_where_to_turn_it_on(
    detectors: list[str], features: list[str], mark: Mark, words: str
) -> None:
    account, guard = _stubbed("guardduty")
    guard.add_response("list_detectors", {"DetectorIds": detectors}, {})
    if detectors:
        guard.add_response(
            "get_detector",
            {
                "ServiceRole": "r",
                "Status": "ENABLED",
                "Features": [{"Name": f, "Status": "ENABLED"} for f in features],
            },
            {"DetectorId": "d1"},
        )
    with guard:
        found = taken.guard(account.detects())
    assert found.mark == mark
    assert words in _said(found)
    assert ("pulumi/watch.yaml" in _said(found)) == (mark == Mark.WARNING)


@pytest.mark.parametrize(("quantity", "mark"), [(0, Mark.WARNING), (1, Mark.OK)])
def test_a_first_distribution_may_have_to_wait_for_support(quantity: int, mark: Mark) -> None:
    account, cloudfront = _stubbed("cloudfront")
    page = {"Marker": "", "MaxItems": 1, "IsTruncated": False, "Quantity": quantity}
    cloudfront.add_response("list_distributions", {"DistributionList": page}, {"MaxItems": "1"})
    with cloudfront:
        found = taken.distributions(some=account.distributions())
    assert found.mark == mark
    assert ("standbyPage: false" in _said(found)) == (mark == Mark.WARNING)


def test_images_that_are_looked_at_once_and_never_again_are_warned_of() -> None:
    account, ecr = _stubbed("ecr")
    answer = {"scanningConfiguration": {"scanType": "BASIC", "rules": []}}
    ecr.add_response("get_registry_scanning_configuration", answer, {})
    with ecr:
        found = taken.scanner(account.scans())
    assert found.mark == Mark.WARNING
    assert "basic" in _said(found)
    assert taken.scanner("ENHANCED").mark == Mark.OK


def test_copies_go_to_a_region_that_is_on() -> None:
    assert taken.copies("ap-northeast-1", "opt-in-not-required").mark == Mark.OK
    off = taken.copies("ap-east-1", "not-opted-in")
    assert "enable-region --region-name ap-east-1" in _said(off)
    assert off.mark == Mark.FAILED
