"""docs/deploy.md as a new user walks it: bash itself, line by line, and every call known to what it calls."""

import itertools
import shlex
from pathlib import Path
from typing import Any

import pytest
from harness import awscli, deploy
from harness.commands import unknown
from harness.deploy import BOUNDARY, DOCUMENT
from harness.shell import blocks, spans
from point_infra import offline
from point_infra.config.settings import load

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP = (ROOT / "pulumi" / "bootstrap.yaml").read_text()


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """All calls of the document."""
    return deploy.calls(tmp_path_factory.mktemp("user"))


def _of(calls: list[list[str]], *words: str) -> list[list[str]]:
    return [c[len(words) :] for c in calls if c[: len(words)] == list(words)]


def test_every_block_is_walked(calls: list[list[str]]) -> None:
    text = "\n".join(blocks(DOCUMENT))
    for program in ("aws", "pulumi", "kubectl", "make", "docker", "gh", "glab", "curl", "point-infra"):
        assert bool(_of(calls, program)) == (program in text), program
    assert len(calls) > 70


def test_every_call_is_one_that_its_program_knows(calls: list[list[str]], updated: Any) -> None:
    named = calls + [shlex.split(s) for s in spans(DOCUMENT, "aws") if "--" in s]
    assert len([c for c in named if c[0] == "aws"]) > 40
    assert unknown(named, updated.outputs["names"]) == {}


@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        ("pulumi config set domainNames x", "no key domainNames"),
        ("pulumi config set adminRoleArns x", "adminRoleArns is array"),
        ("pulumi stack output endpoint", "no output endpoint"),
        ("pulumi stack initialise prod", "no command"),
        ("make previews STACK=prod", "no target previews"),
        ("kubectl -n points get points", "get of what?"),
        ("point-infra doktor", "no command doktor"),
    ],
)
def test_a_call_that_its_program_does_not_know_is_found(call: str, refusal: str) -> None:
    assert refusal in str(unknown([shlex.split(call)], ["url"]))


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        ("rds failover-cluster", "rds has no operation failover-cluster"),
        ("rdz describe-db-clusters", "no service rdz"),
        ("rds wait db-instance-ready", "rds has no waiter"),
        ("rds describe-db-clusters --cluster point-prod", "has no --cluster"),
        (
            "rds create-db-cluster-snapshot --db-cluster-identifier x",
            "needs --db-cluster-snapshot-identifier",
        ),
        ("eks list-insights --cluster-name x --filter 'category=X'", "--filter has no category"),
        (
            "elasticache modify-replication-group --replication-group-id x --auth-token-update-strategy NEW",
            "is not NEW",
        ),
        ("sts get-caller-identity --query Konto", "no Konto in"),
        ("elbv2 describe-load-balancers --query 'LoadBalancers[].Names'", "no Names in"),
        (
            "eks describe-addon-versions --query 'addons[].addonVersions[?compatibilities].addonName'",
            "no addonName in AddonVersionInfo",
        ),
        ("logs describe-log-groups --query \"logGroups[?contains(name, 'x')].logGroupName\"", "no name in"),
        ("sts get-caller-identity --query 'A['", "--query"),
        ("s3 rb --forse s3://x", "no option --forse"),
    ],
)
def test_a_command_that_aws_does_not_know_is_found(command: str, refusal: str) -> None:
    assert refusal in " ".join(awscli.wrong(shlex.split(command)))


def test_what_is_asked_of_a_template_is_there(calls: list[list[str]]) -> None:
    files: set[str] = set()
    for given in _of(calls, "aws", "cloudformation", "deploy"):
        (file,) = [v for o, v in itertools.pairwise(given) if o == "--template-file"]
        files.add(file)
        for parameter in given[given.index("--parameter-overrides") + 1 :]:
            assert f"\n  {parameter.split('=')[0]}:\n    Type: String" in (ROOT / file).read_text()
    assert files == {"pulumi/bootstrap.yaml", "pulumi/watch.yaml"}


def test_what_is_asked_of_the_bootstrap_is_there(calls: list[list[str]]) -> None:
    outputs = BOOTSTRAP.split("\nOutputs:\n")[1]
    asked = {c[-1].split("'")[1] for c in _of(calls, "aws", "cloudformation", "describe-stacks")}
    assert len(asked) > 5
    assert all(f"  {name}:\n" in outputs for name in asked)


def test_the_values_of_the_first_steps_are_taken_together(calls: list[list[str]]) -> None:
    """Up to `stage all` they are loaded as the program would, for an update."""
    changes: dict[str, Any] = {}
    for *_, key, value in _of(calls, "pulumi", "config", "set"):
        name, _, place = key.partition("[")
        changes[name] = [*changes.get(name, []), value] if place else value
        if (key, value) == ("stage", "all"):
            break
    assert changes.pop("serviceImageDigest") == changes.pop("operatorImageDigest") == "None"
    digest = "sha256:" + "1" * 64
    values = offline.stack_config("prod", **changes, serviceImageDigest=digest, operatorImageDigest=digest)
    assert load(values.get, values.get("region"), preview=False).permissions_boundary == BOUNDARY


def test_every_variable_that_is_set_is_read_by_a_workflow(calls: list[list[str]]) -> None:
    workflows = "".join(f.read_text() for f in (ROOT / ".github" / "workflows").glob("*.yaml"))
    names = {words[0] for words in _of(calls, "gh", "variable", "set")}
    assert len(names) == 6
    assert {n for n in names if f"vars.{n} " not in workflows} == set()
    # CodeBuild's runners are GitHub's here.
    assert {words[0] for words in _of(calls, "glab", "variable", "set")} == names - {"RUNNER_PROJECT"}
    pipeline = (ROOT / ".gitlab-ci.yml").read_text()
    # The CLI reads the backend's address by itself.
    assert {n for n in names if f"${n}" not in pipeline} == {"PULUMI_BACKEND_URL", "RUNNER_PROJECT"}


def test_the_images_are_those_of_both_programs(calls: list[list[str]]) -> None:
    built = _of(calls, "docker", "buildx", "build")
    assert [next(w for w in b if w.startswith("PROGRAM=")) for b in built] == [
        "PROGRAM=service",
        "PROGRAM=operator",
    ]
