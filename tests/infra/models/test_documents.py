"""IAM documents say what AWS understands, and each role has the rights that its program asks for."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra.models import account, rights
from infra.models.cloudformation import Declared, Finding
from infra.models.documents import Document, documents, expanded, refused
from moto.iam.aws_managed_policies import aws_managed_policies_data

BOOTSTRAP = Path(__file__).resolve().parents[3] / "pulumi" / "bootstrap.yaml"
OBJECT = "arn:aws:s3:::points/*"

BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"Action": "s3:GetObjects", "Resource": OBJECT}, "AWS has no action s3:GetObjects"),
    ({"Action": ["s3:*", "eks:Frob*"], "Resource": "*"}, "AWS has no action eks:Frob*"),
    (
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::points"},
        "s3:GetObject is not on arn:aws:s3:::points",
    ),
    (
        {"Action": ["s3:GetObject"], "Resource": [OBJECT, "arn:aws:sns:ap-northeast-2:123456789012:a"]},
        "no action here is on arn:aws:sns:ap-northeast-2:123456789012:a",
    ),
    (
        {
            "Action": "logs:DescribeLogGroups",
            "Resource": "arn:aws:logs:ap-northeast-2:123456789012:log-group:a",
        },
        "it takes only *",
    ),
    (
        {"Action": "kms:Decrypt", "Resource": "arn:aws:kms:ap-northeast-2:123456789012:alias/points"},
        "it takes arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}",
    ),
    (
        {"Action": "s3:GetObject", "Resource": "*", "Condition": {"StringIs": {"aws:SourceAccount": "1"}}},
        "StringIs is no operator",
    ),
    (
        {"Action": "s3:GetObject", "Resource": "*", "Condition": {"StringEquals": {"aws:SourceAcount": "1"}}},
        "no action here has the condition aws:SourceAcount",
    ),
    (
        {
            "Action": "s3:GetObject",
            "Resource": "*",
            "Condition": {"ArnLike": {"aws:SecureTransport": "true"}},
        },
        "ArnLike doesn't compare aws:SecureTransport",
    ),
    (
        {
            "Action": ["autoscaling:SetDesiredCapacity", "autoscaling:DescribeTags"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/owner": "points"}},
        },
        "autoscaling:DescribeTags has no condition aws:ResourceTag/owner",
    ),
    (
        {
            "Action": "ec2:CreateTags",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:TagKeys": "owner"}},
        },
        "ForAllValues or ForAnyValue",
    ),
]


def test_every_document_that_is_declared_says_what_aws_understands(stacks: dict[str, list[Declared]]) -> None:
    for declared in stacks.values():
        found = documents(declared)
        assert len(found) > 15
        assert refused(found) == []


@pytest.mark.parametrize(("statement", "message"), BROKEN, ids=[m for _, m in BROKEN])
def test_what_is_wrong_with_a_statement_is_said_by_resource_and_property(
    statement: dict[str, Any], message: str
) -> None:
    content = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}
    policy = Declared("aws:iam/rolePolicy:RolePolicy", "points", {"policy": json.dumps(content)})
    found = refused(documents([policy]))
    assert {(f.resource, f.property) for f in found} == {("RolePolicy points", "policy.Statement.0")}
    assert message in "\n".join(f.message for f in found)


def test_aws_s_own_documents_that_are_attached_pass(stacks: dict[str, list[Declared]]) -> None:
    """Whatever refuses one of them is wrong itself."""
    managed = json.loads(aws_managed_policies_data)
    arns = {r.inputs["policyArn"] for r in stacks["prod"] if r.type.endswith(":RolePolicyAttachment")}
    own = [Document(arn, "policy", managed[arn.rsplit("/", 1)[-1]]["Document"]) for arn in sorted(arns)]
    assert len(own) > 5
    assert refused(own) == []


def test_the_roles_of_the_bootstrap_say_what_aws_understands() -> None:
    found = [
        Document(name, key, one)
        for name, resource in _bootstrap()["Resources"].items()
        for key, one in _policies(resource["Properties"])
    ]
    assert {d.resource for d in found} == {
        *("StateKey", "StatePolicy", "Preview", "PreviewZone", "Push", "Boundary", "Deploy")
    }
    assert refused(found) == []


@pytest.mark.parametrize("need", rights.NEEDS, ids=[n.role for n in rights.NEEDS])
def test_a_right_that_a_role_lost_is_named(stacks: dict[str, list[Declared]], need: rights.Need) -> None:
    granted = next(g for g in map(rights.granted, stacks.values()) if need.role in g)
    lost = next(a for a in need.actions if a not in need.withheld)
    granted[need.role] = {p for p in granted[need.role] if lost not in expanded_all(p)}
    found = rights.missing(granted)
    assert Finding(f"Role {need.role}", lost, f"missing: {need.source}") in found


def test_every_role_has_the_rights_that_its_program_publishes(stacks: dict[str, list[Declared]]) -> None:
    granted = [rights.granted(declared) for declared in stacks.values()]
    assert {need.role for need in rights.NEEDS} <= {role for one in granted for role in one}
    for one in granted:
        assert rights.missing(one) == []


def test_every_published_right_is_an_action_of_aws() -> None:
    assert [a for need in rights.NEEDS for a in need.actions if not expanded(a)] == []
    assert all(need.withheld.keys() <= set(need.actions) for need in rights.NEEDS)


def expanded_all(pattern: str) -> set[str]:
    """The actions that a pattern names, as they are written."""
    names = expanded(pattern)
    return {a for need in rights.NEEDS for a in need.actions if a.lower() in names}


def _policies(value: Any, key: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every policy document below."""
    if isinstance(value, dict):
        if "Statement" in value:
            return [(key, value)]
        return [found for k, v in value.items() for found in _policies(v, k)]
    return [found for v in value for found in _policies(v, key)] if isinstance(value, list) else []


def _bootstrap() -> dict[str, Any]:
    """The template, with what its functions would give."""
    known = {
        "AWS::AccountId": account.ACCOUNT,
        "AWS::Region": "ap-northeast-2",
        "Boundary": f"arn:aws:iam::{account.ACCOUNT}:policy/point-platform-boundary",
        "State": "point-platform-state",
        "State.Arn": "arn:aws:s3:::point-platform-state",
        "StateKey.Arn": f"arn:aws:kms:ap-northeast-2:{account.ACCOUNT}:key/1",
        "Subject": "repo:owner@1/name@2",
        "ZoneRole": "arn:aws:iam::210987654321:role/dns",
        "GitLabProject": "group/project",
    }

    class Loader(yaml.SafeLoader):
        """Of CloudFormation's short forms."""

    def give(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode) and suffix == "If":
            return loader.construct_sequence(node, deep=True)[1]  # for both forges at once
        if not isinstance(node, yaml.ScalarNode):
            return None
        text = str(loader.construct_scalar(node))
        if suffix == "Sub":
            return re.sub(r"\$\{(.*?)\}", lambda m: known.get(m[1], m[1]), text)
        return known.get(text, text)

    Loader.add_multi_constructor("!", give)
    return yaml.load(BOOTSTRAP.read_text(), Loader)
