"""What the workflows may do: nothing they don't need, with no key that lasts, and no code of others by a moving tag."""

import fnmatch
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from infra.models.account import RUNNER
from moto.iam.aws_managed_policies import aws_managed_policies_data
from policy_sentry.querying.actions import get_actions_with_access_level

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP = ROOT / "pulumi" / "bootstrap.yaml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


def _jobs() -> dict[str, dict[str, Any]]:
    return {
        f"{file.stem} {name}": job
        for file in WORKFLOWS
        for name, job in yaml.safe_load(file.read_text())["jobs"].items()
    }


def _uses(job: dict[str, Any]) -> list[str]:
    return [step["uses"] for step in job["steps"] if "uses" in step]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda f: f.stem)
def test_a_workflow_has_no_rights_no_secrets_and_fails_with_any_part_of_a_pipe(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {}
    assert workflow["defaults"] == {"run": {"shell": "bash"}}
    assert "secrets." not in file.read_text()
    assert "pull_request_target" not in workflow[True]  # YAML reads `on` as true


@pytest.mark.parametrize("job", _jobs().values(), ids=_jobs().keys())
def test_every_action_is_pinned_by_commit_and_every_job_ends(job: dict[str, Any]) -> None:
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", uses) for uses in _uses(job))
    assert job["timeout-minutes"] <= 110


def test_only_who_takes_a_role_may_ask_for_a_token_and_only_by_oidc() -> None:
    for job in _jobs().values():
        takes = [s for s in job["steps"] if "configure-aws-credentials" in s.get("uses", "")]
        assert (job["permissions"].get("id-token") == "write") == bool(takes)
        assert all("role-to-assume" in s["with"] and "aws-access-key-id" not in s["with"] for s in takes)


def test_who_may_write_to_a_pull_request_runs_none_of_its_code() -> None:
    writers = {n: j for n, j in _jobs().items() if j["permissions"].get("pull-requests") == "write"}
    assert list(writers) == ["preview comment"]
    assert not any("checkout" in uses for uses in _uses(writers["preview comment"]))


def test_a_fork_gets_a_preview_but_no_role() -> None:
    jobs = _jobs()
    assert "if" not in jobs["preview stand-in"]
    assert "head.repo.full_name == github.repository" in jobs["preview aws"]["if"]


def test_up_waits_for_an_approval_for_the_images_and_for_the_policies() -> None:
    up = _jobs()["deploy up"]
    assert up["environment"] == "prod"
    assert set(up["needs"]) == {"images", "policy"}


def test_an_image_whose_commit_is_pushed_is_not_pushed_again() -> None:
    """Tags are immutable, so a second push of one commit would be refused."""
    job = _jobs()["deploy images"]
    steps = {s["id"]: s for s in job["steps"] if "id" in s}
    for image in ("service", "operator"):
        assert steps[image]["if"] == f"${{{{ steps.pushed.outputs.{image} == '' }}}}"
        assert steps[image]["with"]["tags"].endswith(f"/point-{image}:${{{{ github.sha }}}}")
        assert job["outputs"][image].startswith(f"${{{{ steps.pushed.outputs.{image} || ")
    push = _template()["Resources"]["Push"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert "ecr:BatchGetImage" in push[1]["Action"]


def _template() -> Any:
    class Loader(yaml.SafeLoader):
        """Takes CloudFormation's short forms as their argument."""

    def argument(loader: Loader, _: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return loader.construct_scalar(node)
        assert isinstance(node, yaml.SequenceNode)
        return loader.construct_sequence(node)

    Loader.add_multi_constructor("!", argument)
    return yaml.load(BOOTSTRAP.read_text(), Loader)


def test_the_bootstrap_template_is_valid() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    done = subprocess.run([linter, "-r", "ap-northeast-2", "--", BOOTSTRAP], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


ROLE = "arn:aws:iam::123456789012:role/"
WAYS_IN = [
    *(("iam:" + action, f"{ROLE}admin") for action in ("CreateRole", "AttachRolePolicy", "PutRolePolicy")),
    # Who may take another administrator's role, or what a policy that is attached already says.
    ("iam:UpdateAssumeRolePolicy", f"{ROLE}admin"),
    ("iam:CreatePolicyVersion", "arn:aws:iam::123456789012:policy/admins"),
    ("iam:SetDefaultPolicyVersion", "arn:aws:iam::123456789012:policy/admins"),
    ("iam:DeleteRolePermissionsBoundary", f"{ROLE}controllers-alb-0123abc"),
    *(
        ("iam:" + action, "arn:aws:iam::123456789012:user/eve")
        for action in ("CreateUser", "CreateAccessKey")
    ),
    ("iam:CreateServiceSpecificCredential", "arn:aws:iam::123456789012:user/eve"),
    ("iam:UploadSigningCertificate", "arn:aws:iam::123456789012:user/eve"),
    ("iam:UploadSSHPublicKey", "arn:aws:iam::123456789012:user/eve"),
    ("iam:CreateOpenIDConnectProvider", "*"),
    # IAM Roles Anywhere, and the Identity Center of an account.
    ("rolesanywhere:CreateTrustAnchor", "*"),
    ("sso:CreateAccountAssignment", "*"),
    ("sso-directory:CreateUser", "*"),
    ("identitystore:CreateUser", "*"),
]


def _deploy_denies(action: str, resource: str, *, bounded: bool) -> bool:
    """Whether the deploy role is refused an action; `bounded` is whether the role acted on has the boundary."""
    (policy,) = _template()["Resources"]["Deploy"]["Properties"]["Policies"]
    for one in policy["PolicyDocument"]["Statement"]:
        assert one["Effect"] == "Deny"
        own = one["Resource"].replace("${AWS::AccountId}", "123456789012")
        own = "arn:aws:iam::123456789012:policy/point-platform-boundary" if own == "Boundary" else own
        asks = one.get("Condition")
        assert asks in (None, {"StringNotEquals": {"iam:PermissionsBoundary": "Boundary"}})
        if (
            any(fnmatch.fnmatchcase(action.lower(), a.lower()) for a in one["Action"])
            and fnmatch.fnmatchcase(resource, own)
            and not (asks and bounded)
        ):
            return True
    return False


@pytest.mark.parametrize(("action", "resource"), WAYS_IN, ids=[a for a, _ in WAYS_IN])
def test_the_deploy_role_leaves_itself_no_way_in(action: str, resource: str) -> None:
    assert _deploy_denies(action, resource, bounded=False)


def test_the_deploy_role_makes_and_changes_the_program_s_own_roles_and_none_of_the_pipelines() -> None:
    own, pipeline = f"{ROLE}controllers-alb-0123abc", f"{ROLE}point-platform-push"
    for action in ("CreateRole", "AttachRolePolicy", "PutRolePolicy", "UpdateAssumeRolePolicy", "DeleteRole"):
        assert not _deploy_denies(f"iam:{action}", own, bounded=True)
    for action in ("AttachRolePolicy", "PutRolePolicy", "UpdateAssumeRolePolicy", "DeleteRole"):
        assert _deploy_denies(f"iam:{action}", pipeline, bounded=False)


def test_the_program_makes_none_of_what_the_deploy_role_is_refused(run_stack: Any) -> None:
    types = {r.type for r in run_stack("prod", preview=False, **RUNNER).resources}
    made = {t.removeprefix("aws:iam/") for t in types if t.startswith("aws:iam/")}
    assert made == {"role:Role", "rolePolicy:RolePolicy", "rolePolicyAttachment:RolePolicyAttachment"}


def test_what_is_left_to_the_deploy_role_of_iam_is_no_way_in() -> None:
    """Whatever AWS adds to IAM is looked at here: is it a way in?"""
    changes = [
        action
        for level in ("Write", "Permissions management")
        for action in get_actions_with_access_level("iam", level)
    ]
    assert len(changes) > 90
    left = {a.removeprefix("iam:") for a in changes if not _deploy_denies(a, "*", bounded=False)}
    # What ends something, what is about the account, what says nothing until it is attached. PassRole: a service runs
    # under a role that lets it, and that can't be told by a boundary.
    assert {a for a in left if not re.match("Delete|Remove|Detach|Disable", a)} == {
        "AddRoleToInstanceProfile", "ChangePassword", "CreateAccountAlias", "CreateGroup", "CreateInstanceProfile",
        "CreatePolicy", "CreateServiceLinkedRole", "EnableOutboundWebIdentityFederation", "PassRole",
        "SetSTSRegionalEndpointStatus", "SetSecurityTokenServicePreferences", "UpdateCloudFrontPublicKey",
        "UpdateGroup", "UpdateRole", "UpdateRoleDescription", "UpdateServerCertificate", "UpdateUser",
        "UploadCloudFrontPublicKey", "UploadServerCertificate",
    }  # fmt: skip


def test_the_boundary_allows_all_that_the_program_s_roles_do_and_no_rights_over_rights(
    run_stack: Any,
) -> None:
    updated = run_stack("prod", preview=False, **RUNNER)
    (statement,) = _template()["Resources"]["Boundary"]["Properties"]["PolicyDocument"]["Statement"]
    published = json.loads(aws_managed_policies_data)
    documents = [
        *(
            published[a["policyArn"].rsplit("/", 1)[-1]]["Document"]
            for a in updated.of(":RolePolicyAttachment").values()
        ),
        *(json.loads(p["policy"]) for p in updated.of(":RolePolicy").values()),
    ]
    used: set[str] = set()
    for document in documents:
        statements = document["Statement"]
        for one in statements if isinstance(statements, list) else [statements]:
            used |= {one["Action"]} if isinstance(one["Action"], str) else set(one["Action"])
    assert len(used) > 100
    assert {
        a for a in used if not any(fnmatch.fnmatch(a, allowed) for allowed in statement["Action"])
    } == set()
    assert [a for a in statement["Action"] if a.startswith(("iam:", "sts:"))] == [
        "iam:CreateServiceLinkedRole"
    ]


def test_every_role_carries_the_boundary_that_config_names(run_stack: Any) -> None:
    boundary = "arn:aws:iam::123456789012:policy/point-platform-boundary"
    roles = run_stack("prod", preview=False, permissionsBoundary=boundary).of("iam/role:Role")
    assert len(roles) > 7
    assert {r.get("permissionsBoundary") for r in roles.values()} == {boundary}
    # The component's own would have none.
    assert "control-plane" in str(sorted(roles))


GITLAB = "project_path:${GitLabProject}:ref_type:branch:ref"


def test_each_role_is_for_one_kind_of_run_of_one_repository() -> None:
    roles = {n: r["Properties"] for n, r in _template()["Resources"].items() if r["Type"] == "AWS::IAM::Role"}
    subjects: dict[str, dict[str, str]] = {}
    for name, role in roles.items():
        subjects[name] = {}
        for condition, statement, otherwise in role["AssumeRolePolicyDocument"]["Statement"]:
            forge = {"OnGitHub": "token.actions.githubusercontent.com", "OnGitLab": "gitlab.com"}[condition]
            assert otherwise == "AWS::NoValue"
            assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
            assert statement["Principal"]["Federated"].endswith(f":oidc-provider/{forge}")
            asked = {k: v for operator in statement["Condition"].values() for k, v in operator.items()}
            assert (
                asked.pop(f"{forge}:aud")
                == {"OnGitHub": "sts.amazonaws.com", "OnGitLab": "https://gitlab.com"}[condition]
            )
            subjects[name][condition] = asked.pop(f"{forge}:sub")
            assert asked == {}
            # Only a branch may be any.
            assert ("StringLike" in statement["Condition"]) == ("*" in subjects[name][condition])
    assert subjects == {
        "Preview": {"OnGitHub": "${Subject}:pull_request", "OnGitLab": f"{GITLAB}:*"},
        "Push": {"OnGitHub": "${Subject}:ref:refs/heads/main", "OnGitLab": f"{GITLAB}:main"},
        "Deploy": {"OnGitHub": "${Subject}:environment:${Environment}", "OnGitLab": f"{GITLAB}:main"},
    }


@pytest.mark.parametrize("project", ["group/project", "group/sub-group/my.project"])
def test_a_gitlab_project_is_named_by_its_path(project: str) -> None:
    assert re.fullmatch(_template()["Parameters"]["GitLabProject"]["AllowedPattern"], project)


@pytest.mark.parametrize(
    "project", ["project", "group/*", "group/project:ref_type:branch", "*/project", "group/"]
)
def test_no_gitlab_name_is_taken_that_is_more_than_one_project_s(project: str) -> None:
    assert not re.fullmatch(_template()["Parameters"]["GitLabProject"]["AllowedPattern"], project)


@pytest.mark.parametrize("subject", ["repo:octo-org@65/octo.repo@74", "repo:octo-org/octo-repo"])
def test_a_repository_is_named_as_github_s_tokens_name_it_with_ids_or_without(subject: str) -> None:
    assert re.fullmatch(_template()["Parameters"]["Subject"]["AllowedPattern"], subject)


@pytest.mark.parametrize("subject", ["octo-org/octo-repo", "repo:octo-org/*", "repo:octo-org@*/octo-repo@*"])
def test_no_name_is_taken_that_is_more_than_one_repository_s(subject: str) -> None:
    assert not re.fullmatch(_template()["Parameters"]["Subject"]["AllowedPattern"], subject)


def test_preview_and_push_change_nothing_but_the_two_image_repositories() -> None:
    resources = _template()["Resources"]
    for name in ("Preview", "Push"):
        (policy,) = resources[name]["Properties"]["Policies"]
        assert "ManagedPolicyArns" not in resources[name]["Properties"]
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            changes = [
                a for a in actions if not re.match(r"[\w-]+:(Get|List|Describe|Batch(Check|Get)|Decrypt)", a)
            ]
            if changes:
                assert name == "Push"
                assert all("repository/point-*/point-" in arn for arn in statement["Resource"])


NETWORK: dict[str, Any] = {
    "existingVpcId": "vpc-0123456789abcdef0",
    **{
        f"{tier}SubnetIds": [f"subnet-{i}{zone}234567" for zone in range(3)]
        for i, tier in enumerate(("public", "private", "data"))
    },
}
READS = {
    "aws:autoscaling/getAmiIds:getAmiIds": {"autoscaling:DescribeAutoScalingGroups"},
    "aws:autoscaling/getGroup:getGroup": {"autoscaling:DescribeAutoScalingGroups"},
    # A group that an earlier stack left is imported, and so read with its tags.
    "aws:cloudwatch/getLogGroups:getLogGroups": {"logs:DescribeLogGroups", "logs:ListTagsForResource"},
    "aws:ec2/getSubnet:getSubnet": {"ec2:DescribeSubnets"},
    "aws:ec2/getVpc:getVpc": {"ec2:DescribeRouteTables", "ec2:DescribeVpcAttribute", "ec2:DescribeVpcs"},
    "aws:eks/getCluster:getCluster": {"eks:DescribeCluster"},
    "aws:index/getCallerIdentity:getCallerIdentity": set[str](),  # nobody needs a right to ask who one is
    "aws:route53/getZone:getZone": {
        *("route53:GetHostedZone", "route53:ListHostedZones", "route53:ListTagsForResource")
    },
}
"""By data source, what it calls (hashicorp/terraform-provider-aws, internal/service/*/*_data_source.go)."""


def test_a_preview_may_read_every_data_source_of_the_program(run_stack: Any) -> None:
    asked = (
        run_stack("prod", preview=True, groups={"eks-cluster-a-1": 1}).asked
        | run_stack("prod", preview=True, **NETWORK, existingClusterName="shop", apiPrivateClients=[]).asked
    )
    source = "".join(f.read_text() for f in (ROOT / "pulumi" / "point_infra").rglob("*.py"))
    written = {name.removesuffix("_output") for name in re.findall(r"\baws\.(?:\w+\.)?(get_\w+)\(", source)}
    names = {re.sub("(?=[A-Z])", "_", token.rpartition(":")[2]).lower() for token in asked}
    assert names == written, "not run here"
    assert asked == READS.keys()
    (policy,) = _template()["Resources"]["Preview"]["Properties"]["Policies"]
    statements = policy["PolicyDocument"]["Statement"]
    may = {a for s in statements if s["Resource"] == "*" for a in s["Action"]}
    assert {a for actions in READS.values() for a in actions} - may == set()


def test_a_preview_takes_the_zone_s_role_where_one_is_named_and_no_other() -> None:
    zone = _template()["Resources"]["PreviewZone"]
    assert (zone["Condition"], zone["Properties"]["Roles"]) == ("AsksAnotherAccount", ["Preview"])
    (statement,) = zone["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("sts:AssumeRole", "ZoneRole")
