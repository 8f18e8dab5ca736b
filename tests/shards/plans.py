"""What vtgate would do with each statement that the service can say: it is asked for its plan, and none is run."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pymysql
from harness import statements
from point_local.alone.ports import HOST
from point_local.alone.vitess import Mysql

VARIANTS = {
    "EqualUnique": "its member's shard",
    "IN": "its members' shards",
    "MultiEqual": "its members' shards",
    "Scatter": "every shard",
    "Reference": "any shard",
    "DBA": "any shard",
}


class Plan(NamedTuple):
    """Where a statement goes, or in which words it is refused."""

    name: str
    goes: str
    refused: str = ""


def plans(port: int, known: Mysql) -> list[Plan]:
    """Ask for the plan of every statement."""
    user, password = ((known.application / name).read_text() for name in ("username", "password"))
    with pymysql.connect(
        host=HOST, port=port, user=user, password=password, database=known.schema, ssl_ca=str(known.ca_file)
    ) as connection:
        return [_plan(connection, one) for one in statements.all_of_them()]


def _plan(connection: Any, one: statements.Statement) -> Plan:
    with connection.cursor() as cursor:
        try:
            cursor.execute("vexplain plan " + one.text.replace("%s", "1"))
        except pymysql.err.MySQLError as error:
            return Plan(one.name, "refused", str(error.args[-1]))
        [(said,)] = cursor.fetchall()
    found = set(_variants(json.loads(said)))
    return Plan(
        one.name, ", ".join(sorted({VARIANTS.get(variant, variant) for variant in found})) or "vtgate"
    )


def _variants(plan: Any) -> Iterator[str]:
    """Every `Variant` of a plan and of what it is made of."""
    if isinstance(plan, dict):
        if isinstance(plan.get("Variant"), str):
            yield plan["Variant"]
        plan = list(plan.values())
    if isinstance(plan, list):
        for part in plan:
            yield from _variants(part)
