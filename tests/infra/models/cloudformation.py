"""Declared resources against AWS's own resource schemas, region by region, by cfn-lint."""

import functools
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from cfnlint.config import ConfigMixIn
from cfnlint.decode.decode import decode_str
from cfnlint.runner import Runner, run_template_by_data
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from infra.models import account
from infra.models.names import KINDS, NOT_IN_CLOUDFORMATION
from infra.models.translate import Props, plain, translate
from point_local.preview.standin.shapes import AUTONAMES

_IGNORED = {
    "E3010": "more than 500 resources: they come from several stacks",
    "E3019": "parts of a bucket stand here as buckets of the same name",
    "I": "advice",
    "W": "style of templates",
}


class Declared(NamedTuple):
    """One resource: type, name and inputs by Pulumi's names, and the region of its stack."""

    type: str
    name: str
    inputs: Props
    home: str = "ap-northeast-2"

    @property
    def label(self) -> str:
        """How a finding names it."""
        return f"{self.type.rsplit(':', 1)[-1]} {self.name}"

    @property
    def region(self) -> str:
        """Where it is made."""
        return self.inputs.get("region", self.home)


class Finding(NamedTuple):
    """What a checker would not let pass: which resource, which property, and what is wrong with it."""

    resource: str
    property: str
    message: str


def ours(resources: Iterable[Any], region: str) -> list[Declared]:
    """What AWS is asked for; what lies in the cluster, and the program's own components, are not."""
    return [
        Declared(r.type, r.name, r.inputs, region)
        for r in resources
        if r.type.startswith("aws:") or r.type == "eks:index:Cluster"
    ]


def unmapped(resources: Iterable[Declared]) -> list[Finding]:
    """Types and inputs for which no counterpart is known."""
    found: list[Finding] = []
    for one in resources:
        if one.type in KINDS:
            found += [Finding(one.label, path, "no counterpart") for path in _properties(one)[1]]
        elif one.type not in NOT_IN_CLOUDFORMATION:
            found.append(Finding(one.label, "", "no counterpart of this type"))
    return found


def refused(resources: Iterable[Declared]) -> list[Finding]:
    """What the schemas, their extensions and cfn-lint's rules refuse, each resource in its region.

    Resources that differ only by tags are looked at once, and named by the first.
    """
    by_region: dict[str, dict[str, tuple[Declared, str, Props]]] = defaultdict(dict)
    for one in resources:
        for cfn, properties in counterparts(one):
            key = json.dumps([cfn, {k: v for k, v in properties.items() if k != "Tags"}])
            by_region[one.region].setdefault(key, (one, cfn, properties))
    return [f for region, some in by_region.items() for f in _refused(region, list(some.values()))]


def _refused(region: str, resources: list[tuple[Declared, str, Props]]) -> list[Finding]:
    template = {f"R{n}": {"Type": cfn, "Properties": p} for n, (_, cfn, p) in enumerate(resources)}
    text, _ = decode_str(json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": template}))
    config = ConfigMixIn(regions=[region], ignore_checks=list(_IGNORED))
    found: list[Finding] = []
    for match in run_template_by_data(text, config, _rules()):
        path = [str(part) for part in match.path or ()]
        label = resources[int(path[1][1:])][0].label if len(path) > 1 else "the template"
        found.append(Finding(label, ".".join(path[3:]), f"{match.rule.id} {match.message}"))
    return found


@functools.cache
def _rules() -> Any:
    return Runner(ConfigMixIn()).rules


def counterparts(one: Declared) -> list[tuple[str, Props]]:
    """CloudFormation's types that it stands for, with their properties; none where it has none."""
    if one.type not in KINDS:
        return []
    properties, kind = _properties(one)[0], KINDS[one.type]
    return [(kind.cfn, properties), *kind.beside(plain(one.inputs))]


def _properties(one: Declared) -> tuple[Props, list[str]]:
    kind = KINDS[one.type]
    inputs = {k: v for k, v in one.inputs.items() if k != "region"}
    if own := AUTONAMES.get(one.type):
        inputs[own] = account.physical(one.type, one.name, one.inputs)
    return translate(kind, inputs, schema(kind.cfn, one.region))


@functools.cache
def schema(cfn: str, region: str) -> dict[str, Any]:
    """CloudFormation's schema of a type, as it is in a region."""
    return PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, cfn).schema
