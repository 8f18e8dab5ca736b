"""Declared resources against the API calls that make them, by botocore's models: what CloudFormation leaves open.

Botocore itself checks neither enumerations nor patterns before it sends; here they are walked through.
"""

import functools
import json
import re
from collections.abc import Iterable
from typing import Any

import botocore.session
from infra.models.cloudformation import Declared, Finding, counterparts
from infra.models.operations import CALLS, DOCUMENTED, FILLED_IN, INPUTS, TAKEN_OTHERWISE, Call
from infra.models.translate import norm, plain


def refused(resources: Iterable[Declared]) -> list[Finding]:
    """Values that the calls' models refuse, and properties that no call takes."""
    found: list[Finding] = []
    for one in resources:
        for cfn, properties in counterparts(one):
            walks = [_Walk(call, cfn, one.label) for call in CALLS.get(cfn, ())]
            for walk in walks:
                walk.makes = walk is walks[0]
                walk.through(_at(_input(walk.call), walk.call.at), properties, "")
                found += walk.found
            if walks:
                lost = set.intersection(*(walk.lost for walk in walks)) - TAKEN_OTHERWISE.get(cfn, {}).keys()
                found += [Finding(one.label, path, "no call takes it") for path in sorted(lost)]
        found += _inputs(one)
    return found


def _inputs(one: Declared) -> list[Finding]:
    """Inputs that CloudFormation has no property for."""
    found: list[Finding] = []
    for (type_, path), (service, operation, at) in INPUTS.items():
        values: list[Any] = [plain(one.inputs)] if one.type == type_ else []
        for part in path.split("."):
            values = [
                b for v in values if part in v for b in (v[part] if isinstance(v[part], list) else [v[part]])
            ]
        call = Call(service, operation)
        walk = _Walk(call, "", one.label)
        for value in values:
            walk.through(_at(_input(call), at), value, path)
        found += walk.found
    return found


class _Walk:
    """One resource beside the arguments of one call."""

    def __init__(self, call: Call, cfn: str, label: str) -> None:
        self.call, self.cfn, self.label = call, cfn, label
        self.rename = dict(call.rename)
        self.found: list[Finding] = []
        self.lost: set[str] = set()
        self.documentation: dict[str, str] = {}
        self.makes = False
        """Whether it is the call that makes the resource, so that what it requires must be there."""

    def through(self, shape: Any, value: Any, path: str) -> None:
        """Compare a value with the shape of the argument that takes it."""
        match shape.type_name:
            case "structure" if {"Quantity", "Items"} <= set(shape.members) and isinstance(value, list):
                self.through(shape.members["Items"], value, path)
            case "structure" if isinstance(value, dict):
                self._members(shape, value, path)
            case "structure":  # a list of one, or the only member's value by itself
                for one in value if isinstance(value, list) else [{next(iter(shape.members)): value}]:
                    self.through(shape, one, path)
            case "list" if isinstance(value, list):
                for one in value:
                    self.through(shape.member, one, path)
                self._size(shape, len(value), path, "entries")
            case "list":
                self.through(shape, [value], path)
            case _ if isinstance(value, list):
                for one in value:
                    self.through(shape, one, path)
            case "string":
                self._text(shape, value if isinstance(value, str) else json.dumps(value), path)
            case "integer" | "long" | "float" | "double":
                self._size(shape, float(value), path, "")
                self._documented(str(value), path)
            case "boolean" if not isinstance(value, bool):
                self._no(path, f"{value!r} is no truth value")
            case _:
                pass

    def _members(self, shape: Any, value: dict[str, Any], path: str) -> None:
        names = {norm(n): n for n in shape.members}
        taken = {key: norm(self.rename.get(f"{path}.{key}".lstrip("."), key)) for key in value}
        for required in shape.required_members if path or self.makes else ():
            if norm(required) not in taken.values() and required not in FILLED_IN:
                self._no(path, f"{self.call.operation} requires {required}")
        for key, below in value.items():
            where = f"{path}.{key}".lstrip(".")
            name = names.get(taken[key])
            if key == "Tags":
                continue  # CloudFormation's schema has their form
            if name is None:
                self.lost.add(where)
            else:
                self.documentation[where] = shape.members[name].documentation
                self.through(shape.members[name], below, where)

    def _text(self, shape: Any, value: str, path: str) -> None:
        if shape.enum and value not in shape.enum:
            self._no(path, f"{value!r} is not one of {', '.join(sorted(shape.enum))[:200]}")
        pattern = shape.metadata.get("pattern")
        if pattern and not _matches(pattern, value):
            self._no(path, f"{value[:80]!r} does not match {pattern}")
        self._size(shape, len(value), path, " characters")
        self._documented(value, path)

    def _size(self, shape: Any, size: float, path: str, unit: str) -> None:
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if (least is not None and size < least) or (most is not None and size > most):
            self._no(path, f"{size:g}{unit} is not from {least} to {most}")

    def _documented(self, value: str, path: str) -> None:
        if (self.cfn, path) in DOCUMENTED:
            listed = re.findall("<code>(.*?)</code>", self.documentation[path])
            if value not in {word.strip() for words in listed for word in words.split("|")}:
                self._no(path, f"{value!r} is in no list of {self.call.operation}'s documentation")

    def _no(self, path: str, message: str) -> None:
        self.found.append(Finding(self.label, path, message))


def _matches(pattern: str, value: str) -> bool:
    """Whether it matches; a pattern that is not Python's lets everything pass."""
    try:
        return re.search(f"^(?:{pattern})$", value, re.DOTALL) is not None
    except re.error:
        return True


@functools.cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def _input(call: Call) -> Any:
    return _model(call.service).operation_model(call.operation).input_shape


def _at(shape: Any, path: str) -> Any:
    for part in filter(None, path.split(".")):
        shape = shape.member if shape.type_name == "list" else shape
        shape = shape.members[part]
    return shape
