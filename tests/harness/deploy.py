"""docs/deploy.md walked from its first block to its last, in one shell as a user has it."""

from pathlib import Path

from harness.shell import blocks, walk

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "deploy.md").read_text()
BOUNDARY = "arn:aws:iam::123456789012:policy/point-platform-boundary"

ANSWERS = {
    "stack output repositories": '{"point-service": "1.dkr.ecr/point-service", "point-operator": "1.dkr.ecr/x"}',
    "stack output kubeconfigCommand": "aws eks update-kubeconfig --region ap-northeast-2 --name point-prod",
    "imageTag=": "None",
    "checkip": "203.0.113.9",
    "get-secret-value": '{"password": "x"}',
    "DBClusters.0.$": '{"DBSubnetGroup": "x", "KmsKeyId": "x", "DBClusterParameterGroup": "x",'
    ' "VpcSecurityGroups": [{"VpcSecurityGroupId": "x"}]}',
    "OutputKey=='DeployRole'": "arn:aws:iam::123456789012:role/point-platform-deploy",
    "OutputKey=='PreviewRole'": "arn:aws:iam::123456789012:role/point-platform-preview",
    "OutputKey=='PermissionsBoundary'": BOUNDARY,
    "secretsmanager describe-secret": (
        "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:ecr-pullthroughcache/docker-hub-AbCdEf"
    ),
    "openssl storeutl": "Subject: CN = Amazon RDS",
    "gh api": "repo:octo-org@65/octo-repo@74",
}
"""What a call must print for the next line to make sense."""


def calls(home: Path, **answers: str) -> list[list[str]]:
    """Every call of the document, made in an empty folder; `answers` are the stack's outputs that matter."""
    for name in ("pulumi", "Makefile", "Containerfile", "Pulumi.yaml"):
        (home / name).symlink_to(ROOT / name)
    (home / ".venv" / "bin").mkdir(parents=True)
    (home / ".venv" / "bin" / "point-infra").symlink_to(home / "programs" / "point-infra")
    # A prompt's own: the address of an image needs a commit.
    script = "git() { echo 0123abc; }\n" + "\n".join(b for b in blocks(DOCUMENT) if not b.startswith("✓"))
    return walk(script, ANSWERS | {f"stack output {name}": text for name, text in answers.items()}, home)
