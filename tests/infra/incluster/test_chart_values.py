"""Each value that the program sets is one that the chart knows, of the chart's own type."""

import json
from pathlib import Path
from typing import Any

import pytest
from point_infra.config import versions
from point_infra.config.versions import Chart

FACTS = {f.stem: json.loads(f.read_text()) for f in (Path(__file__).parent / "charts").glob("*.json")}
"""By chart: version, source, when it was read, and the keys of its values as a tree; a leaf is a default's type.

`map` and `any` (no default) take whatever is below them, `list` any list.
"""
CHARTS = {c.name: c for c in vars(versions).values() if isinstance(c, Chart)}
OLDER = {"cluster-autoscaler": "9.59.0", "external-secrets": "2.9.0", "kiali-server": "2.29.0"}
"""Charts whose facts are of the release before the installed one, or of the one before that: no newer could be had."""
POD = {"requests": "map", "limits": "map"}
"""What a value named `resources` takes in every chart, since all hand it on to Kubernetes."""
TYPES: dict[str, type | tuple[type, ...]] = {
    "boolean": bool, "number": (int, float), "string": (str, int, float), "list": list, "map": dict,
}  # fmt: skip


def keys(chart: str) -> dict[str, Any]:
    """Keys that a chart takes, those of the charts that it brings below their names."""
    facts = FACTS[chart]
    tree = dict(facts["keys"])
    for name in facts.get("charts", {}):
        tree[name] = {**keys(name), **tree.get(name, {})}
        for part, below in keys(name).items():
            own = facts["keys"].get(name, {}).get(part)
            tree[name][part] = (
                {**below, **own} if isinstance(below, dict) and isinstance(own, dict) else below
            )
    return tree


def wrong(values: Any, tree: Any, path: str) -> list[str]:
    """Paths of `values` that are no keys of `tree`, or hold something of another type."""
    if isinstance(tree, dict):
        if not isinstance(values, dict):
            return [f"{path} is a map"]
        return [f"{path}.{key} is no key" for key in values if key not in tree] + [
            fault
            for key in values
            if key in tree
            for fault in wrong(values[key], POD if key == "resources" else tree[key], f"{path}.{key}")
        ]
    if tree == "any":
        return []
    fits = isinstance(values, TYPES[tree]) and (tree == "boolean" or not isinstance(values, bool))
    return [] if fits else [f"{path} is of type {tree}"]


def _values(run: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """By release: its chart, and its values as far as they are known."""
    return {n: (r["chart"], r.get("values") or {}) for n, r in run.of(":Release").items()}


@pytest.mark.parametrize("stack", ["updated", "dev"])
def test_every_value_is_a_key_of_its_chart(request: pytest.FixtureRequest, stack: str) -> None:
    releases = _values(request.getfixturevalue(stack))
    assert {chart for chart, _ in releases.values()} == CHARTS.keys()
    assert [f for chart, values in releases.values() for f in wrong(values, keys(chart), chart)] == []


@pytest.mark.parametrize(
    ("release", "path", "value", "found"),
    [
        ("istio-cni", "excludedNamespaces", [], "cni.excludedNamespaces is no key"),
        ("kiali", "deployment.securityContext", {}, "kiali-server.deployment.securityContext is no key"),
        (
            *("kube-prometheus-stack", "prometheus-node-exporter.resource", {}),
            "kube-prometheus-stack.prometheus-node-exporter.resource is no key",
        ),
        (
            *("kube-prometheus-stack", "grafana.sidecar.dashboards.searchNamespaces", "ALL"),
            "kube-prometheus-stack.grafana.sidecar.dashboards.searchNamespaces is no key",
        ),
        (
            *("aws-load-balancer-controller", "replicaCount", "two"),
            "aws-load-balancer-controller.replicaCount is of type number",
        ),
        ("istiod", "resources.request", {"cpu": "1"}, "istiod.resources.request is no key"),
        (
            *("external-secrets", "podDisruptionBudget", True),
            "external-secrets.podDisruptionBudget is a map",
        ),
    ],
)
def test_a_value_that_a_chart_doesn_t_know_is_found_by_chart_and_path(
    updated: Any, release: str, path: str, value: object, found: str
) -> None:
    chart, values = _values(updated)[release]
    *parents, last = path.split(".")
    broken: dict[str, Any] = json.loads(json.dumps(values))
    holder = broken
    for parent in parents:
        holder = holder[parent]
    holder[last] = value
    assert wrong(broken, keys(chart), chart) == [found]


def test_every_value_of_an_add_on_is_a_key_of_the_chart_that_it_is_made_of(updated: Any) -> None:
    addons = {a["addonName"]: a.get("configurationValues") for a in updated.of("eks/addon:Addon").values()}
    name = "amazon-cloudwatch-observability"
    assert wrong(json.loads(addons[name]), keys(name), name) == []
    # The VPC CNI's own schema has it, as a text (EKS user guide, "Configure your cluster for network policies").
    assert {a for a, values in addons.items() if values} == {name, "vpc-cni"}


def test_the_facts_are_of_the_installed_versions_but_for_those_that_are_named() -> None:
    assert {n: FACTS[n]["version"] for n, c in CHARTS.items() if FACTS[n]["version"] != c.version} == OLDER
    brought = FACTS["kube-prometheus-stack"]["charts"]
    assert brought == {name: FACTS[name]["version"] for name in brought}
