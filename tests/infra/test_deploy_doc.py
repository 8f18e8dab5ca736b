"""docs/deploy.md as a new user walks it: bash itself, line by line, and every call known to what it calls."""

import itertools
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import awscli
from harness.shell import blocks, spans, walk
from point_infra import cli, offline
from point_infra.config.settings import load
from typer.main import get_command

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "deploy.md").read_text()
BOOTSTRAP = (ROOT / "pulumi" / "bootstrap.yaml").read_text()
BOUNDARY = "arn:aws:iam::123456789012:policy/point-platform-boundary"

ANSWERS = {
    "stack output repositories": '{"point-service": "1.dkr.ecr/point-service", "point-operator": "1.dkr.ecr/x"}',
    "stack output kubeconfigCommand": "aws eks update-kubeconfig --region ap-northeast-2 --name point-prod",
    "imageTag=": "None",
    "get-secret-value": '{"password": "x"}',
    "DBClusters.0.$": '{"DBSubnetGroup": "x", "KmsKeyId": "x", "DBClusterParameterGroup": "x",'
    ' "VpcSecurityGroups": [{"VpcSecurityGroupId": "x"}]}',
    "OutputKey=='DeployRole'": "arn:aws:iam::123456789012:role/point-platform-deploy",
    "OutputKey=='PreviewRole'": "arn:aws:iam::123456789012:role/point-platform-preview",
    "OutputKey=='PermissionsBoundary'": BOUNDARY,
    "openssl storeutl": "Subject: CN = Amazon RDS",
    "gh api": "repo:octo-org@65/octo-repo@74",
}
"""What a call must print for the next line to make sense."""

PULUMI = {"login", "stack", "config", "up", "preview", "refresh", "destroy"}
KUBECTL = {
    "apply": {"-f", "--server-side"},
    "get": {"pts", "pdb", "secret", "externalsecret"},
    "wait": {"pts/points"},
    "delete": {"pts"},
    "rollout": {"status"},
    "exec": {"deploy/points"},
    "create": {"token"},
}
"""Verbs, and what each of them is given here."""


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """All calls of the document, from its first block to its last, in one shell as a user has it."""
    home = tmp_path_factory.mktemp("user")
    for name in ("pulumi", "Makefile", "Containerfile", "Pulumi.yaml"):
        (home / name).symlink_to(ROOT / name)
    (home / ".venv" / "bin").mkdir(parents=True)
    (home / ".venv" / "bin" / "point-infra").symlink_to(home / "programs" / "point-infra")
    # A prompt's own: the address of an image needs a commit.
    script = "git() { echo 0123abc; }\n" + "\n".join(b for b in blocks(DOCUMENT) if not b.startswith("✓"))
    return walk(script, ANSWERS, home)


def _of(calls: list[list[str]], *words: str) -> list[list[str]]:
    return [c[len(words) :] for c in calls if c[: len(words)] == list(words)]


def test_every_block_is_walked(calls: list[list[str]]) -> None:
    text = "\n".join(blocks(DOCUMENT))
    for program in ("aws", "pulumi", "kubectl", "make", "docker", "gh", "curl", "point-infra"):
        assert bool(_of(calls, program)) == (program in text), program
    assert len(calls) > 70


def test_every_aws_command_is_one_that_aws_knows(calls: list[list[str]]) -> None:
    named = _of(calls, "aws") + [shlex.split(s)[1:] for s in spans(DOCUMENT, "aws") if "--" in s]
    assert len(named) > 40
    assert {shlex.join(c): awscli.wrong(c) for c in named if awscli.wrong(c)} == {}


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


def test_what_is_asked_of_the_bootstrap_is_there(calls: list[list[str]]) -> None:
    (deploy,) = _of(calls, "aws", "cloudformation", "deploy")
    (file,) = [v for o, v in itertools.pairwise(deploy) if o == "--template-file"]
    assert (ROOT / file).read_text() == BOOTSTRAP
    for given in deploy[deploy.index("--parameter-overrides") + 1 :]:
        assert f"\n  {given.split('=')[0]}:\n    Type: String" in BOOTSTRAP
    outputs = BOOTSTRAP.split("\nOutputs:\n")[1]
    asked = {c[-1].split("'")[1] for c in _of(calls, "aws", "cloudformation", "describe-stacks")}
    assert len(asked) > 5
    assert all(f"  {name}:\n" in outputs for name in asked)


def test_every_config_value_is_of_a_key_and_is_taken(calls: list[list[str]]) -> None:
    """Those up to the first `stage all` are loaded as the program would; each of the rest names a key."""
    keys = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    changes: dict[str, Any] = {}
    loaded = False
    for words in _of(calls, "pulumi", "config", "set"):
        key, value = words[-2:]
        name, _, place = key.partition("[")
        assert name in keys, words
        assert (keys[name]["type"] == "array") == bool(place) == (words[0] == "--path"), words
        changes[name] = [*changes.get(name, []), value] if place else value
        if words == ["stage", "all"]:
            digest = "sha256:" + "1" * 64
            changes |= {"serviceImageDigest": digest, "operatorImageDigest": digest}
            values = offline.stack_config("prod", **changes)
            loaded = load(values.get, values.get("region"), preview=False).permissions_boundary == BOUNDARY
    assert loaded


def test_every_output_that_is_read_is_put_out(calls: list[list[str]], updated: Any) -> None:
    read = {words[0] for words in _of(calls, "pulumi", "stack", "output")}
    assert len(read) > 5
    assert read - set(updated.outputs["names"]) == set()


def test_every_other_command_is_there(calls: list[list[str]]) -> None:
    assert {words[0] for words in _of(calls, "pulumi")} <= PULUMI
    makefile = (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv")
    for words in _of(calls, "make"):
        assert f"\n{words[0]}:" in makefile, words
    workflows = "".join(f.read_text() for f in (ROOT / ".github" / "workflows").glob("*.yaml"))
    for words in _of(calls, "gh", "variable", "set"):
        assert f"vars.{words[0]} " in workflows, words
    for words in _of(calls, "point-infra"):
        assert words[0] in get_command(cli.app).commands  # pyright: ignore[reportAttributeAccessIssue]
    for words in _of(calls, "kubectl"):
        plain = words[2:] if words[0] == "-n" else words
        assert plain[1] in KUBECTL[plain[0]] or set(plain[1:]) & KUBECTL[plain[0]], words


def test_the_images_are_built_as_the_containerfile_has_them(calls: list[list[str]]) -> None:
    built = _of(calls, "docker", "buildx", "build")
    assert [next(w for w in b if w.startswith("PROGRAM=")) for b in built] == [
        "PROGRAM=service",
        "PROGRAM=operator",
    ]
    assert all("ARG PROGRAM" in (ROOT / b[b.index("-f") + 1]).read_text() for b in built)
