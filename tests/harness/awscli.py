"""The `aws` program by AWS's own models, which it is made from: is a command one of it, and what does it print."""

import re
from typing import Any

import boto3
import botocore.session
import jmespath
from botocore import xform_name
from botocore.exceptions import UnknownServiceError

GLOBAL = {"query", "output", "region", "profile", "no-cli-pager"}
CUSTOM = {
    ("cloudformation", "deploy"): {"stack-name", "template-file", "capabilities", "parameter-overrides"},
    ("ecr", "get-login-password"): set[str](),
    ("eks", "update-kubeconfig"): {"name", "alias"},
    ("s3", "rb"): {"force"},
    ("s3", "cp"): {"recursive"},
}
"""What the program has beside the models, with the options of it that are in use here."""

_SESSION = botocore.session.get_session()


def wrong(arguments: list[str]) -> list[str]:
    """What is wrong with a command (its words after `aws`); nothing, when AWS would know all of it."""
    if len(arguments) < 2 or arguments[0].startswith("-"):
        return ["no service and operation"]
    service, operation, *rest = arguments
    if (service, operation) in CUSTOM:
        return [f"no option --{o}" for o in _options(rest) if o not in CUSTOM[service, operation] | GLOBAL]
    try:
        model = _SESSION.get_service_model(service)
    except UnknownServiceError:
        return [f"no service {service}"]
    if operation == "wait":
        waiters = _SESSION.get_waiter_model(service)
        named = {xform_name(n, "-"): n for n in waiters.waiter_names}
        if not rest or rest[0] not in named:
            return [f"{service} has no waiter {rest[:1]}"]
        shape = model.operation_model(waiters.get_waiter(named[rest[0]]).operation)
        rest = rest[1:]
    else:
        operations = {xform_name(n, "-"): n for n in model.operation_names}
        if operation not in operations:
            return [f"{service} has no operation {operation}"]
        shape = model.operation_model(operations[operation])
    return _arguments(shape, _options(rest))


def answer(arguments: list[str]) -> Any:
    """What a command that is not wrong prints: made against the endpoint of the environment, by its --query."""
    service, operation, *rest = arguments
    model = _SESSION.get_service_model(service)
    names = {xform_name(n, "-"): n for n in model.operation_names}
    inputs = model.operation_model(names[operation]).input_shape
    options = _options(rest)
    members = {xform_name(n, "-"): (n, s) for n, s in inputs.members.items()} if inputs else {}
    given = {members[o][0]: _given(members[o][1], v) for o, v in options.items() if o not in GLOBAL}
    client = boto3.client(service)  # pyright: ignore
    answer = getattr(client, xform_name(names[operation]))(**given)
    return jmespath.search(" ".join(options.get("query", ["@"])), answer)


def _given(shape: Any, values: list[str]) -> Any:
    """Values of one option as boto3 takes them; of structures, the `Key=value,Key=value` that are in use here."""
    if shape.type_name == "boolean":
        return values != ["false"]
    if shape.type_name == "list":
        return [_given(shape.member, [v]) for v in values]
    if shape.type_name == "structure":
        pairs = dict(pair.split("=", 1) for pair in values[0].split(","))
        return {k: _given(shape.members[k], [v]) for k, v in pairs.items()}
    return int(values[0]) if shape.type_name in ("integer", "long") else values[0]


def _options(words: list[str]) -> dict[str, list[str]]:
    """Values of each option; words before the first belong to none."""
    found: dict[str, list[str]] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            found[name] = [value] if value else []
        elif name:
            found[name].append(word)
    return found


def _arguments(shape: Any, options: dict[str, list[str]]) -> list[str]:
    inputs = shape.input_shape
    members = {xform_name(n, "-"): (n, s) for n, s in inputs.members.items()} if inputs else {}
    found = [
        f"{shape.name} needs --{o}"
        for o, (n, _) in members.items()
        if n in inputs.required_members and o not in options
    ]
    for option, values in options.items():
        if option == "query":
            found += _query(shape, " ".join(values))
        elif option in GLOBAL:
            continue
        elif option.removeprefix("no-") in members and option not in members:
            if members[option[3:]][1].type_name != "boolean" or values:
                found.append(f"--{option} is not off and on")
        elif option not in members:
            found.append(f"{shape.name} has no --{option}")
        else:
            found += _value(option, members[option][1], values)
    return found


def _value(option: str, shape: Any, values: list[str]) -> list[str]:
    if shape.type_name == "boolean":
        return [] if values in ([], ["true"], ["false"]) else [f"--{option} takes no {values}"]
    if not values:
        return [f"--{option} has no value"]
    if shape.type_name != "list" and len(values) > 1:
        return [f"--{option} takes one value, not {values}"]
    kind = shape.member if shape.type_name == "list" else shape
    if kind.type_name == "structure":
        keys = [k for v in values for k in re.findall(r"(?:^|,)([A-Za-z]+)=", v)]
        return [f"--{option} has no {k}" for k in keys if k not in kind.members] or (
            [] if keys else [f"--{option} is not Key=value"]
        )
    if kind.type_name in ("integer", "long"):
        return [f"--{option} is no number: {v}" for v in values if not v.isdigit()]
    allowed = getattr(kind, "enum", [])
    return [f"--{option} is not {v} but one of {allowed}" for v in values if allowed and v not in allowed]


def _query(shape: Any, query: str) -> list[str]:
    """The expression parses, and every member that it names is in the answer."""
    try:
        _member(jmespath.compile(query).parsed, shape.output_shape)
    except (jmespath.exceptions.ParseError, KeyError) as error:
        return [f"--query {query}: {error}"]
    return []


def _member(node: dict[str, Any], shape: Any) -> Any:
    """The shape that a part of an expression answers when it looks at `shape`; None when that is made up there."""
    kind, parts = node["type"], node["children"]
    if shape is None or kind == "literal":
        return None
    if kind == "field":
        if shape.type_name != "structure" or node["value"] not in shape.members:
            raise KeyError(f"no {node['value']} in {shape.name}")
        return shape.members[node["value"]]
    if kind in ("current", "identity"):
        return shape
    if kind in ("index", "slice", "flatten"):
        inner = _member(parts[0], shape) if kind == "flatten" else shape
        return (
            inner if kind == "slice" or inner is None or inner.type_name != "list" else _inside(inner, kind)
        )
    if kind in ("subexpression", "index_expression", "pipe"):
        for part in parts:
            shape = _member(part, shape)
        return shape
    if kind in ("projection", "filter_projection"):
        each = _member(parts[0], shape)
        each = each.member if each is not None and each.type_name == "list" else each
        for part in parts[2:]:  # a filter's condition
            _member(part, each)
        _member(parts[1], each)
        return None
    for part in parts:  # lists, comparisons, functions: each part looks at the same
        _member(part, shape)
    return None


def _inside(shape: Any, kind: str) -> Any:
    return shape.member if kind == "index" else shape
