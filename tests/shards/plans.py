"""What vtgate would do with each statement that the service can say: it is asked for its plan, and none is run."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pymysql
from harness import statements
from point_local.alone.ports import HOST
from point_local.alone.shards import Gate
from point_local.alone.vitess import Mysql

ONE, SOME, EVERY, ANY = "its member's shard", "its members' shards", "every shard", "any shard"
GOES = {
    "EqualUnique": ONE,
    "Sharded": SOME,  # an INSERT's rows
    "IN": SOME,
    "MultiEqual": SOME,
    "Scatter": EVERY,
    "Reference": ANY,
    "DBA": ANY,
}
ROUTED = ("Route", "Insert", "Update", "Delete")
ROWS = re.compile(r"\((?P<columns>[^()]*)\) VALUES \(.*\)(?= ON DUPLICATE|$)", re.DOTALL)


class Plan(NamedTuple):
    """Where a statement goes, or in which words it is refused."""

    name: str
    goes: str
    refused: str = ""


def plans(gate: Gate, known: Mysql) -> list[Plan]:
    """Ask for the plan of every statement."""
    user, password = ((known.application / name).read_text() for name in ("username", "password"))
    with pymysql.connect(
        host=HOST,
        port=gate.port,
        user=user,
        password=password,
        database=known.schema,
        ssl_ca=str(known.ca_file),
    ) as connection:
        return [_plan(connection, one) for one in statements.all_of_them()]


def failed(gate: Gate) -> Counter[tuple[str, str]]:
    """Count the statements that failed at a vtgate, by their first words and its own, without the values."""
    counts: Counter[tuple[str, str]] = Counter()
    for line in gate.failed.read_text().splitlines():
        noted = json.loads(line)
        said = re.sub(r"(, |:? ?\(errno).*|[0-9]{2,}", "", noted["Error"].strip('"'))
        counts[" ".join(noted["SQL"].strip('"').split()[:6]), said[:100]] += 1
    return counts


def _plan(connection: Any, one: statements.Statement) -> Plan:
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"vexplain plan {with_values(one.text)}")
        except pymysql.err.MySQLError as error:
            return Plan(one.name, "refused", str(error.args[-1]))
        [(said,)] = cursor.fetchall()
    return Plan(one.name, goes(json.loads(said)))


def with_values(text: str) -> str:
    """A statement with a value wherever one goes, and two rows of as many as an INSERT has columns."""

    def rows(found: re.Match[str]) -> str:
        row = ", ".join("1" for _ in found["columns"].split(","))
        return f"({found['columns']}) VALUES ({row}), ({row})"

    return ROWS.sub(rows, text).replace("%s", "1")


def goes(plan: Any) -> str:
    """Where a plan sends what it sends."""
    return ", ".join(sorted(set(_ways(plan)))) or "nowhere"


def _ways(plan: Any) -> Iterator[str]:
    if isinstance(plan, dict):
        if plan.get("OperatorType") in ROUTED:
            variant = str(plan["Variant"])
            yield GOES.get(variant, variant)
        plan = list(plan.values())
    if isinstance(plan, list):
        for part in plan:
            yield from _ways(part)
