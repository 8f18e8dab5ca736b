"""The sizes and regions that config takes are among those that AWS has, by the price lists behind cfn-lint."""

import json
from importlib import resources
from typing import Any

from point_infra.config import regions, sizes

EXTENSIONS = resources.files("cfnlint.data.schemas.extensions")


def _by_region(file: str) -> dict[str, Any]:
    content = json.loads((EXTENSIONS / file).read_text())
    return {region: known for region, known in content.items() if isinstance(known, dict)}


def _anywhere(file: str) -> set[str]:
    return {size for known in _by_region(file).values() for size in known["enum"]}


def test_every_node_type_of_the_cache_is_somewhere() -> None:
    assert set(sizes.caches()) - _anywhere("aws_elasticache_cachecluster/cachenodetype_enum.json") == set()


def test_every_database_class_is_somewhere_with_this_engine() -> None:
    found: set[str] = set()
    for known in _by_region("aws_rds_dbinstance/dbinstanceclass_enum.json").values():
        for case in known["allOf"]:
            if case["if"]["properties"]["Engine"].get("const") == "aurora-mysql":
                found |= set(case["then"]["properties"]["DBInstanceClass"]["enum"])
    assert len(found) > 50
    assert set(sizes.databases()) - found == set()


def test_every_region_has_machines_and_nodes() -> None:
    for file in (
        "aws_ec2_instance/instancetype_enum.json",
        "aws_elasticache_cachecluster/cachenodetype_enum.json",
        "aws_rds_dbinstance/dbinstanceclass_enum.json",
    ):
        assert regions.REGIONS.keys() - _by_region(file).keys() == set()
