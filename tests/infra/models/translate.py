"""Inputs of a Pulumi resource as properties of the CloudFormation resource that it stands for."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pulumi.runtime import rpc

Props = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What CloudFormation calls a type, and its inputs where the name alone doesn't say it."""

    cfn: str
    at: str = ""
    """Property (dotted path) under which all of the inputs lie."""
    rename: dict[str, str] = field(default_factory=dict[str, str])
    """Input (dotted path) -> property, a dotted path from where the input's neighbours lie; `/` is the top."""
    without: dict[str, str] = field(default_factory=dict[str, str])
    """Input (dotted path) that has no counterpart -> why."""
    also: Props = field(default_factory=Props)
    """Properties that the provider fills in, or that CloudFormation wants beside."""
    prepare: Callable[[Props], Props] = dict
    """Inputs in the form in which names suffice."""
    beside: Callable[[Props], list[tuple[str, Props]]] = lambda _: []
    """Other types that the inputs stand for, too, or whose schema knows more about some of them."""


def translate(kind: Kind, inputs: Props, schema: Props) -> tuple[Props, list[str]]:
    """Properties by CloudFormation's names, and the inputs (dotted paths) that found no property."""
    work = _Work(kind, schema)
    work.put(kind.prepare(plain(inputs)), schema, "", work.properties, kind.at)
    return {**kind.also, **work.properties}, work.unmapped


def plain(value: Any) -> Any:
    """A recorded input without secrets' wrapping."""
    if isinstance(value, dict):
        return (
            plain(value["value"])
            if rpc._special_sig_key in value
            else {k: plain(v) for k, v in value.items()}
        )
    return [plain(v) for v in value] if isinstance(value, list) else value


def resolve(schema: Props, node: Props) -> Props:
    """The node itself, where it is a reference."""
    while "$ref" in node:
        found: Any = schema
        for part in node["$ref"].lstrip("#/").split("/"):
            found = found[part]
        node = found
    return node


def members(schema: Props, node: Props) -> Props:
    """Properties of an object, those of its alternatives included."""
    found = dict(node.get("properties", {}))
    for choice in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        found = members(schema, resolve(schema, choice)) | found
    return found


def norm(name: str) -> str:
    """A name without case and separators, by which Pulumi's and AWS's are compared."""
    return re.sub("[^a-z0-9]", "", name.lower())


def types(node: Props) -> set[str]:
    """Types that a node allows."""
    own = node.get("type", [])
    found = {own} if isinstance(own, str) else set(own)
    for choice in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        found |= types(choice)
    return found or ({"object"} if "properties" in node else set())


class _Work:
    """One resource being translated."""

    def __init__(self, kind: Kind, schema: Props) -> None:
        self.kind, self.schema = kind, schema
        self.properties: Props = {}
        self.unmapped: list[str] = []

    def put(self, inputs: Props, node: Props, path: str, into: Props, at: str = "") -> None:
        """Put inputs into the object `into`, whose schema is `node`; by default under `at` of it."""
        for key, value in inputs.items():
            where = f"{path}.{key}".lstrip(".")
            if value is None or where in self.kind.without:
                continue
            target = self.kind.rename.get(where, "")
            target = f"{at}.{target}" if target and at and not target.startswith("/") else target
            start, object_ = (self.schema, self.properties) if target.startswith("/") else (node, into)
            parts = [p for p in (target.lstrip("/") or f"{at}.{key}").split(".") if p]
            self._place(value, start, object_, parts, where)

    def _place(self, value: Any, node: Props, into: Props, parts: list[str], where: str) -> None:
        names = {norm(n): n for n in members(self.schema, resolve(self.schema, node))}
        name = names.get(norm(parts[0]))
        if name is None:
            self.unmapped.append(where)
            return
        below = members(self.schema, resolve(self.schema, node))[name]
        if parts[1:]:
            self._place(value, below, into.setdefault(name, {}), parts[1:], where)
            return
        found = list(self._values(value, below, where))
        if found and isinstance(found[0], dict) and isinstance(into.get(name), dict):
            into[name] |= found[0]
        elif found:
            into[name] = found[0]

    def _values(self, value: Any, node: Props, where: str) -> Iterator[Any]:
        """The one value in CloudFormation's form, or none where it is empty."""
        node = resolve(self.schema, node)
        allowed = types(node)
        if isinstance(value, list) and "array" not in allowed and len(value) < 2:
            yield from (v for one in value for v in self._values(one, node, where))
        elif isinstance(value, list):
            items = node.get("items", {})
            yield [v for one in value for v in self._values(one, items, where)]
        elif isinstance(value, dict) and "array" in allowed:
            yield self._pairs(value, resolve(self.schema, node.get("items", {})), where)
        elif allowed == {"array"}:
            yield from self._values([value], node, where)
        elif isinstance(value, dict) and members(self.schema, node):
            below: Props = {}
            self.put(value, node, where, below)
            yield below
        else:
            yield scalar(value, allowed)

    def _pairs(self, value: Props, item: Props, where: str) -> list[Any]:
        names = members(self.schema, item)
        pair = [n for n in ("Key", "Name", "Value") if n in names]
        if len(names) == len(pair) == 2 and norm(pair[0]) not in {norm(k) for k in value}:
            return [dict(zip(pair, one, strict=True)) for one in value.items()]
        return list(self._values(value, item, where))


def scalar(value: Any, allowed: set[str]) -> Any:
    """A value of the type that the schema has; Pulumi's numbers arrive as floats, some truths as words."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and "object" in allowed and value.startswith("{"):
        return json.loads(value)
    if isinstance(value, str) and "string" not in allowed:
        if "boolean" in allowed and value in ("true", "false"):
            return value == "true"
        if {"integer", "number"} & allowed and re.fullmatch(r"\d+(\.\d+)?", value):
            return float(value) if "." in value else int(value)
    if allowed == {"string"} and isinstance(value, bool | int | float):
        return str(value).lower()
    return value
