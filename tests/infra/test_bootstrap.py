"""pulumi/bootstrap.yaml made by CloudFormation, as moto has it: who may take the roles that come out of it."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import boto3
import pytest
from harness import awscli, deploy
from harness.aws import account

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore"),  # moto is not ours to fix
]
TEMPLATE = (deploy.ROOT / "pulumi" / "bootstrap.yaml").read_text()
GITHUB, GITLAB = "repo:octo-org@65/octo-repo@74", "group/project"


@pytest.fixture(autouse=True)
def aws() -> Generator[None, None, None]:
    with account():
        yield


def _made(**parameters: str) -> dict[str, list[str]]:
    """Subjects that may take each role."""
    boto3.client("cloudformation").create_stack(
        StackName="point-platform-bootstrap",
        TemplateBody=TEMPLATE,
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )
    found: dict[str, list[str]] = {}
    for name in ("preview", "push", "deploy"):
        role: Any = boto3.client("iam").get_role(RoleName=f"point-platform-{name}")["Role"]
        found[name] = [
            value
            # moto leaves a null where CloudFormation leaves an item out.
            for statement in filter(None, role["AssumeRolePolicyDocument"]["Statement"])
            for operator in statement["Condition"].values()
            for key, value in operator.items()
            if key.endswith(":sub")
        ]
    return found


def test_github_alone_takes_the_roles() -> None:
    assert _made(Subject=GITHUB) == {
        "preview": [f"{GITHUB}:pull_request"],
        "push": [f"{GITHUB}:ref:refs/heads/main"],
        "deploy": [f"{GITHUB}:environment:prod"],
    }


def test_gitlab_alone_takes_the_roles() -> None:
    branch = f"project_path:{GITLAB}:ref_type:branch:ref"
    assert _made(GitLabProject=GITLAB) == {
        "preview": [f"{branch}:*"],
        "push": [f"{branch}:main"],
        "deploy": [f"{branch}:main"],
    }


def test_both_may_take_them() -> None:
    assert {len(subjects) for subjects in _made(Subject=GITHUB, GitLabProject=GITLAB).values()} == {2}


def test_every_output_that_the_document_asks_for_is_there(tmp_path: Path) -> None:
    _made(Subject=GITHUB)
    asked = [words for words in deploy.calls(tmp_path) if words[1:3] == ["cloudformation", "describe-stacks"]]
    assert len(asked) > 7
    assert all(
        awscli.answer(words[1:])[0].startswith(("s3://", "awskms://", "arn:aws:iam:")) for words in asked
    )
