"""What the stacks declare, with ids and ARNs of AWS's form."""

from collections.abc import Callable
from typing import Any

import pytest
from infra.models import account
from infra.models.cloudformation import Declared, ours
from point_infra import offline

SECRET = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:ecr-pullthroughcache"
STACKS: dict[str, tuple[str, dict[str, Any]]] = {
    "prod": ("prod", {}),
    "virginia": ("prod", {"region": "us-east-1"}),
    "lean": ("dev", {"region": "eu-central-1"}),
    "trial": ("trial", {}),
    # What they leave out, under the longest name.
    "options": (
        "prod",
        {
            "adminRoleArns": ["arn:aws:iam::123456789012:role/platform"],
            "apiAllowedCidrs": ["198.51.100.0/24"],
            "databaseInstanceClass": "db.serverless",
            "databaseMaxCapacity": "16",
            "databaseMinCapacity": "1",
            "dockerHubSecretArn": f"{SECRET}/hub-AbCdEf",
            "githubSecretArn": f"{SECRET}/github-AbCdEf",
            "environment": "a23456789-123456789x",
            "existingVpcId": "vpc-0123456789abcdef0",
            "extraTags": ["CostCenter=loyalty"],
            "kmsKeyArn": f"arn:aws:kms:ap-northeast-2:123456789012:key/mrk-{'a' * 32}",
            **account.RUNNER,
            "permissionsBoundary": "arn:aws:iam::123456789012:policy/point-platform-boundary",
            "viewerRoleArns": ["arn:aws:iam::123456789012:role/preview"],
            "zoneId": "Z0123456789ABCDEFGHIJ",
            **{
                f"{tier}SubnetIds": [f"subnet-0{number}23456789abcde{zone}0" for zone in "abc"]
                for number, tier in enumerate(("public", "private", "data"))
            },
        },
    ),
}
"""Name -> stack, and config that is changed for it."""


@pytest.fixture(scope="session")
def stacks(run_stack: Callable[..., Any]) -> dict[str, list[Declared]]:
    """All that each stack asks of AWS."""
    found: dict[str, list[Declared]] = {}
    for name, (stack, changes) in STACKS.items():
        region = offline.stack_config(stack, **changes)["region"]
        run = run_stack(stack, preview=False, answer=account.answers(region), **changes)
        found[name] = ours(run.resources, region)
    return found


@pytest.fixture(scope="session")
def example(stacks: dict[str, list[Declared]]) -> Callable[..., Declared]:
    """A declared resource of a type, under a name of its own, with some inputs changed."""

    def pick(type_: str, name: str, /, **changes: object) -> Declared:
        found = next(r for declared in stacks.values() for r in declared if r.type.endswith(type_))
        return Declared(found.type, name, {**found.inputs, **changes})

    return pick
