"""What a user adds to the pods: one way for all kinds of them, and never at the cost of what is ours."""

import copy
import datetime
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from point_operator.control import canary
from point_operator.model import api, names
from point_operator.observe.look import Seen
from point_operator.resources import plan
from point_operator.resources.pods import container, deployment, migration
from point_operator.resources.surroundings import Release, Surroundings

GOLDEN = Path(__file__).parents[1] / "golden/pod_template.yaml"
SURROUNDINGS = Surroundings(config_hash="0123456789abcdef", rate_limit_image="ratelimit:1")
COMPONENTS = (names.SERVICE, names.CANARY, "migration", "rate-limit")

EVERYTHING: dict[str, Any] = {
    "labels": {"team": "points", "example.com/cost-centre": "4711"},
    "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"},
    "serviceAccount": {
        "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/points"}
    },
    "nodeSelector": {"kubernetes.io/arch": "arm64"},
    "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "points", "effect": "NoSchedule"}],
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["points"]}]}
                ]
            }
        },
    },
    "topologySpreadConstraints": [
        {"maxSkew": 2, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "priorityClassName": "high",
    "imagePullSecrets": [{"name": "registry"}],
    "env": [
        {"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"},
        {
            "name": "OTEL_EXPORTER_OTLP_HEADERS",
            "valueFrom": {"secretKeyRef": {"name": "collector", "key": "headers"}},
        },
    ],
    "envFrom": [{"configMapRef": {"name": "points-extra"}}],
    "terminationGracePeriodSeconds": 90,
}
SETTINGS: dict[str, Any] = {
    "server": {
        "requestTimeoutSeconds": 2.5,
        "targetLatencySeconds": 0.1,
        "drainTimeoutSeconds": 60,
        "idempotencyRetentionHours": 72,
        "upkeepIntervalSeconds": 30,
        "sharedTransactionRequests": 8,
    },
    "observability": {"tracing": {"endpoint": "http://collector.monitoring:4318", "samplingPercent": 10}},
}


def _point_service(spec: dict[str, Any], **template: Any) -> api.PointService:
    """A PointService whose limit is counted by a service of its own, so that each kind of pods is there."""
    spec = copy.deepcopy(spec) | {"podTemplate": template}
    spec["gateway"]["rateLimit"] = {"scope": "Global"}
    base = {"name": "points", "namespace": "points", "uid": "11111111-2222-3333-4444-555555555555"}
    return api.parse({"metadata": base | {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec})


def _made(point_service: api.PointService) -> list[dict[str, Any]]:
    release = Release("old:1", canary=2, weight=10)
    return list(plan.build(point_service, SURROUNDINGS, release).everything)


def _templates(point_service: api.PointService) -> dict[str, dict[str, Any]]:
    """The templates of all pods, by component."""
    made = [one for one in _made(point_service) if one["kind"] in ("Deployment", "Job")]
    templates = [one["spec"]["template"] for one in made]
    found = {one["metadata"]["labels"][names.COMPONENT]: one for one in templates}
    assert set(found) == set(COMPONENTS)
    return found


def _variables(template: dict[str, Any]) -> list[str]:
    return [one["name"] for one in template["spec"]["containers"][0]["env"]]


def test_with_everything_set_the_manifests_are_as_agreed(spec: dict[str, Any]) -> None:
    made = _made(_point_service(spec | copy.deepcopy(SETTINGS), **copy.deepcopy(EVERYTHING)))
    ours = [copy.deepcopy(one) for one in made if one["kind"] in ("ServiceAccount", "Job", "Deployment")]
    assert len(ours) == 5
    text = yaml.safe_dump_all(ours, sort_keys=False, width=110)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_an_empty_one_changes_nothing(spec: dict[str, Any]) -> None:
    empty: dict[str, Any] = {
        name: type(value)() for name, value in EVERYTHING.items() if isinstance(value, dict | list | str)
    }
    del empty["topologySpreadConstraints"]  # an empty list wants none
    assert _templates(_point_service(spec, **empty)) == _templates(_point_service(spec))


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_kind_of_pod_gets_it(spec: dict[str, Any], component: str) -> None:
    template = _templates(_point_service(spec, **EVERYTHING))[component]
    pod = template["spec"]
    assert template["metadata"]["labels"].items() >= EVERYTHING["labels"].items()
    assert template["metadata"]["annotations"].items() >= EVERYTHING["annotations"].items()
    for field in (
        "nodeSelector", "affinity", "priorityClassName", "imagePullSecrets", "terminationGracePeriodSeconds",
    ):  # fmt: skip
        assert pod[field] == EVERYTHING[field]
    assert EVERYTHING["tolerations"][0] in pod["tolerations"]


@pytest.mark.parametrize("component", COMPONENTS)
def test_what_is_ours_holds_even_if_the_schema_let_it_through(spec: dict[str, Any], component: str) -> None:
    before = _templates(_point_service(spec))[component]["metadata"]
    taken = {field: dict.fromkeys(before.get(field, {}), "theirs") for field in ("labels", "annotations")}
    assert _templates(_point_service(spec, **taken))[component]["metadata"] == before


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_selectors_find_the_same_pods_as_before(spec: dict[str, Any], component: str) -> None:
    def selectors(point_service: api.PointService) -> list[Any]:
        made = [one for one in _made(point_service) if one["kind"] in ("Deployment", "Service")]
        return [one["spec"]["selector"] for one in made]

    plain, full = _point_service(spec), _point_service(spec, **EVERYTHING)
    assert selectors(full) == selectors(plain)
    labels = _templates(plain)[component]["metadata"]["labels"].items()
    assert _templates(full)[component]["metadata"]["labels"].items() >= labels


def test_a_dead_node_is_left_whatever_else_is_tolerated(spec: dict[str, Any]) -> None:
    """The first toleration that fits a taint is the one that says for how long."""
    found = _templates(_point_service(spec, tolerations=[{"operator": "Exists"}]))[names.SERVICE]["spec"]
    assert found["tolerations"] == [*deployment.tolerations(), {"operator": "Exists"}]


def test_how_long_a_dead_node_is_borne_can_be_said(spec: dict[str, Any]) -> None:
    own = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "tolerationSeconds": 5}
    own |= {"effect": "NoExecute"}
    found = _templates(_point_service(spec, tolerations=[own]))[names.SERVICE]["spec"]["tolerations"]
    assert found == [deployment.tolerations()[0], own]


def test_pods_are_spread_as_is_said_and_counted_as_ever(spec: dict[str, Any]) -> None:
    asked = {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway"}
    templates = _templates(_point_service(spec, topologySpreadConstraints=[asked]))
    for component in (names.SERVICE, names.CANARY, "rate-limit"):
        (found,) = templates[component]["spec"]["topologySpreadConstraints"]
        labels = {names.OWNER_NAME: "points", names.COMPONENT: component}
        counted = {"labelSelector": {"matchLabels": labels}, "matchLabelKeys": ["pod-template-hash"]}
        assert found == asked | counted
    assert "topologySpreadConstraints" not in templates["migration"]["spec"]


def test_nodes_of_their_own_are_a_must_only_for_two_pods_at_most_and_zones_never(
    spec: dict[str, Any],
) -> None:
    for most, said in ((1, "DoNotSchedule"), (2, "DoNotSchedule"), (3, "ScheduleAnyway")):
        scaling = {"autoscaling": {"minReplicas": 1, "maxReplicas": most}}
        templates = _templates(_point_service(spec | scaling))
        found = {name: one["spec"].get("topologySpreadConstraints") for name, one in templates.items()}
        assert [one["whenUnsatisfiable"] for one in found[names.SERVICE]] == ["ScheduleAnyway", said]
        # A canary that can't start is a verdict about its image.
        assert {one["whenUnsatisfiable"] for one in found[names.CANARY]} == {"ScheduleAnyway"}


def test_pods_need_not_be_spread_at_all(spec: dict[str, Any]) -> None:
    for template in _templates(_point_service(spec, topologySpreadConstraints=[])).values():
        assert template["spec"].get("topologySpreadConstraints", []) == []


def test_variables_are_for_the_services_own_image(spec: dict[str, Any]) -> None:
    templates = _templates(_point_service(spec, env=EVERYTHING["env"], envFrom=EVERYTHING["envFrom"]))
    for component in (names.SERVICE, names.CANARY, "migration"):
        (found,) = templates[component]["spec"]["containers"]
        assert found["env"][-2:] == EVERYTHING["env"]
        assert found["envFrom"] == EVERYTHING["envFrom"]
    plain = _templates(_point_service(spec))["rate-limit"]["spec"]
    assert templates["rate-limit"]["spec"]["containers"] == plain["containers"]


@pytest.mark.parametrize("component", [names.SERVICE, names.CANARY, "migration"])
def test_no_variable_of_ours_comes_from_elsewhere(spec: dict[str, Any], component: str) -> None:
    """`env` goes before `envFrom`: each of ours is there once, those that we leave out without a value."""
    plain = _templates(_point_service(spec))[component]
    mixed = _templates(_point_service(spec, envFrom=EVERYTHING["envFrom"]))[component]
    assert sorted(_variables(mixed)) == sorted(set(_variables(mixed)) | set(container.VARIABLES))
    added = mixed["spec"]["containers"][0]["env"][len(_variables(plain)) :]
    assert all(one == {"name": one["name"]} for one in added)
    assert (
        mixed["spec"]["containers"][0]["env"][: len(_variables(plain))]
        == plain["spec"]["containers"][0]["env"]
    )
    assert _variables(_templates(_point_service(spec, env=[{"name": "A"}]))[component]) == [
        *_variables(plain),
        "A",
    ]


def test_the_service_reads_an_empty_variable_as_none() -> None:
    from point_service import settings

    given = {"POINT_DATABASE_HOST": "mysql.data"}
    empty = dict.fromkeys(container.VARIABLES, "") | given
    assert settings.load(empty) == settings.load(given)


def test_pods_roll_when_their_service_account_changes(spec: dict[str, Any]) -> None:
    """Who gives them rights by it looks at it when a pod starts."""

    def config(**annotations: str) -> dict[str, str]:
        templates = _templates(_point_service(spec, serviceAccount={"annotations": annotations}))
        found = {name: one["metadata"].get("annotations", {}) for name, one in templates.items()}
        return {name: one[names.CONFIG_HASH] for name, one in found.items() if names.CONFIG_HASH in one}

    one, other, none = config(role="a"), config(role="b"), config()
    assert none[names.SERVICE] == SURROUNDINGS.config_hash
    assert set(one) == {names.SERVICE, names.CANARY, "rate-limit"}
    assert all(len({one[name], other[name], none[name]}) == 3 for name in one)


def test_nothing_of_it_migrates_or_tries_an_image_again(spec: dict[str, Any]) -> None:
    plain, full = _point_service(spec), _point_service(spec | SETTINGS, **EVERYTHING)
    assert migration.name(full, "login") == migration.name(plain, "login")
    plain, full = (
        _point_service(one.pop("spec") | {"rollout": {"strategy": "Canary"}}, **one)
        for one in ({"spec": spec}, {"spec": spec | SETTINGS} | EVERYTHING)
    )
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    one, other = (canary.decide(which, "old:1", None, Seen(), now) for which in (plain, full))
    assert one is not None
    assert one == other
