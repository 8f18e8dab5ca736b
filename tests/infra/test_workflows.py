"""What the workflows may do: nothing they don't need, with no key that lasts, and no code of others by a moving tag."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

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


def test_each_role_is_for_one_kind_of_run_of_one_repository() -> None:
    roles = {n: r["Properties"] for n, r in _template()["Resources"].items() if r["Type"] == "AWS::IAM::Role"}
    subjects: dict[str, str] = {}
    for name, role in roles.items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert set(statement["Condition"]) == {"StringEquals"}
        equals = statement["Condition"]["StringEquals"]
        assert equals["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
        subjects[name] = equals["token.actions.githubusercontent.com:sub"]
    assert subjects == {
        "Preview": "${Subject}:pull_request",
        "Push": "${Subject}:ref:refs/heads/main",
        "Deploy": "${Subject}:environment:${Environment}",
    }


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
