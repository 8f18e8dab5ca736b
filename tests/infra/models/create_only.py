"""Which inputs AWS can't change in place, by CloudFormation's schemas: a new value makes a new resource."""

from collections.abc import Iterable
from typing import Any

from infra.models.cloudformation import Declared, counterparts, schema
from infra.models.names import KINDS


def inputs(resources: Iterable[Declared]) -> dict[str, set[str]]:
    """By type, the inputs (top level) without which a create-only property would be another or none."""
    found: dict[str, set[str]] = {}
    for one in resources:
        if one.type not in KINDS:
            continue
        only = schema(KINDS[one.type].cfn, one.region).get("createOnlyProperties", [])
        paths = [path.split("/")[2:] for path in only]
        whole = counterparts(one)[0][1]
        for key in one.inputs:
            rest = Declared(one.type, one.name, {k: v for k, v in one.inputs.items() if k != key}, one.home)
            try:
                without = counterparts(rest)[0][1]
            except (KeyError, IndexError):
                continue  # its form can't be brought into CloudFormation's without it
            if any(_at(whole, path) != _at(without, path) for path in paths):
                found.setdefault(one.type, set()).add(key)
    return found


def _at(properties: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(properties, list):
            properties = [_at(one, [part]) for one in properties]
        elif isinstance(properties, dict):
            properties = properties.get(part)
        else:
            return None
    return properties
