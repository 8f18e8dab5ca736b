"""The two ways to install say the same, and a chart's value arrives or is refused."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from point_local.programs import paths
from point_local.stack.reach import Peer, allowed
from point_operator import settings

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "operator/chart"

GATEWAYS = [
    {"name": "outer", "namespace": "one", "selector": {"a": "b", "c": "d"}, "serviceAccount": "outer-sa"},
    {"name": "inner", "namespace": "one", "selector": {"a": "e"}, "serviceAccount": "inner-sa"},
]

WATCH_ROLE = ("Role", "point-operator-watch")

Objects = dict[tuple[str, str, str], dict[str, Any]]


def test_what_is_put_into_the_chart_is_up_to_date() -> None:
    made: dict[Path, str] = runpy.run_path(str(ROOT / "operator/generate.py"))["chart_files"]()
    assert [path for path, text in made.items() if path.read_text() != text] == []


@pytest.mark.integration
def test_the_manifests_are_what_the_chart_gives() -> None:
    command = [sys.executable, str(ROOT / "operator/generate.py"), "--check"]
    path = f"{Path(_program('helm')).parent}:{os.environ['PATH']}"
    checked = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env={**os.environ, "PATH": path}
    )
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr


@pytest.mark.integration
def test_chart_and_kustomization_make_the_same_objects() -> None:
    apart = {
        ("Namespace", "", "point-system"),
        ("NetworkPolicy", "point-system", "deny"),  # the namespace is its own there
        (
            "CustomResourceDefinition",
            "",
            "pointservices.pointservice.io",
        ),  # in the chart's own folder for them
    }
    plain = _kustomized("operator/deploy")
    assert {key: value for key, value in plain.items() if key not in apart} == _chart("-n", "point-system")
    watched = _chart("-n", "point-system", "--set", "monitoring.enabled=true")
    assert plain | _kustomized("operator/deploy/monitoring") == plain | watched


@pytest.mark.integration
def test_the_chart_gives_rights_at_every_gateway_and_watches_it() -> None:
    made = _chart(
        "--set",
        "formerGatewayNamespaces={two},monitoring.enabled=true",
        "--set-json",
        f"gateways={json.dumps(GATEWAYS)}",
    )
    roles = {namespace for kind, namespace, _ in made if kind == "Role"}
    assert {"one", "two"} <= roles
    monitors = [one["spec"] for (_, _, name), one in made.items() if name.startswith("point-gateway-")]
    assert [one["namespaceSelector"]["matchNames"] for one in monitors] == [["one"], ["one"]]
    assert [one["selector"]["matchLabels"] for one in monitors] == [{"a": "b", "c": "d"}, {"a": "e"}]


@pytest.mark.integration
def test_every_value_arrives_where_it_belongs() -> None:
    chosen = {
        "image": "registry.example/operator@sha256:" + "0" * 64,
        "imagePullSecrets": [{"name": "registry"}],
        "replicas": 3,
        "gateways": GATEWAYS,
        "formerGatewayNamespaces": ["two"],
        "watchNamespaces": ["here", "there"],
        "hostsListed": True,
        "admission": {"enabled": True},
        "rateLimitImage": "registry.example/ratelimit:1",
        "logLevel": "DEBUG",
        "workers": 3,
        "resyncSeconds": 30,
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "pool", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClassName": "system-cluster-critical",
        "podLabels": {"team": "points"},
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}],
        "podAnnotations": {"team": "points", "prometheus.io/scrape": None},
        "serviceAccount": {"annotations": {"team": "points"}},
        "networkPolicy": {"enabled": True, "apiServerPorts": [16443], "jwksPorts": [8443, 16443]},
        "monitoring": {
            "enabled": True,
            "labels": {"release": "kps"},
            "runbookUrl": "https://wiki.example/run",
        },
    }
    assert set(chosen) == set(yaml.safe_load((CHART / "values.yaml").read_text())), (
        "a value is not tried here"
    )
    made = _chart("-n", "elsewhere", "--values", "-", stdin=yaml.safe_dump(chosen))
    deployment = made["Deployment", "elsewhere", "point-operator"]
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    read = settings.load({one["name"]: one["value"] for one in container["env"] if "value" in one})
    assert [msgspec.to_builtins(one) for one in read.gateways] == [
        {"service_account" if key == "serviceAccount" else key: value for key, value in one.items()}
        for one in GATEWAYS
    ]
    assert read.hosts_listed
    assert read.read_namespaces == ("here", "one", "there", "two")
    assert chosen["extraEnv"][0] in container["env"]
    assert pod["metadata"]["labels"].items() > {"team": "points"}.items()
    assert (read.log_level, read.workers, read.resync_seconds) == ("DEBUG", 3, 30)
    assert read.rate_limit_image == chosen["rateLimitImage"]
    assert (deployment["spec"]["replicas"], container["image"]) == (3, chosen["image"])
    assert container["resources"] == chosen["resources"]
    for name in ("priorityClassName", "imagePullSecrets", "nodeSelector", "tolerations", "affinity"):
        assert pod["spec"][name] == chosen[name]
    assert pod["metadata"]["annotations"] == {
        "team": "points", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics",
    }  # fmt: skip
    (leave,) = made["NetworkPolicy", "elsewhere", "point-operator"]["spec"]["egress"]
    assert [one["port"] for one in leave["ports"]] == [53, 53, 16443, 8443, 15020]
    account = made["ServiceAccount", "elsewhere", "point-operator"]
    assert account["metadata"]["annotations"] == {"team": "points"}
    assert read.runbook_url == chosen["monitoring"]["runbookUrl"]
    for kind, _, name in [key for key in made if key[0] in ("PrometheusRule", "PodMonitor")]:
        assert made[kind, "elsewhere", name]["metadata"]["labels"]["release"] == "kps"
    rules = made["PrometheusRule", "elsewhere", "point-operator"]["spec"]["groups"][0]["rules"]
    links = {one["annotations"]["runbook_url"].partition("#")[0] for one in rules if "alert" in one}
    assert links == {"https://wiki.example/run"}
    for kind in ("PrometheusRule", "ConfigMap"):
        text = yaml.safe_dump([one for key, one in made.items() if key[0] == kind])
        assert 'namespace="elsewhere"' in text.replace("\\", "")
        assert "point-system" not in text
        assert "RELEASE_NAMESPACE" not in text


@pytest.mark.integration
@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("typo=1", "additional properties 'typo' not allowed"),
        ("monitoring.enable=true", "at '/monitoring': additional properties 'enable' not allowed"),
        ("replicas=two", "at '/replicas': got string, want integer"),
        ("logLevel=TRACE", "at '/logLevel': value must be one of"),
        ("networkPolicy.apiServerPorts=null", "missing property 'apiServerPorts'"),
        ("networkPolicy.apiServerPorts={0}", "minimum: got 0, want 1"),
        ("networkPolicy.jwksPorts={0}", "minimum: got 0, want 1"),
        ("workers=65", "at '/workers': maximum: got 65, want 64"),
        ("gateways=null", "missing property 'gateways'"),
        ("formerGatewayNamespaces={istio-system}", "gateways: istio-system can't be on it"),
        ("gateways[0].selector=null", "at '/gateways/0/selector': got null, want object"),
        ("watchNamespaces={a.b}", "at '/watchNamespaces/0': 'a.b' does not match pattern"),
        ("podLabels.app\\.kubernetes\\.io/name=x", "invalid propertyName 'app.kubernetes.io/name'"),
        ("extraEnv[0].name=POINT_OPERATOR_WORKERS", "at '/extraEnv/0/name': 'not' failed"),
        ("podAnnotations.team=1", "at '/podAnnotations/team': got number, want string"),
    ],
)
def test_a_value_that_means_nothing_is_refused_in_one_line(value: str, line: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        _chart("--set", value)
    assert line in refused.value.stderr


@pytest.mark.integration
def test_with_namespaces_to_watch_it_has_no_right_elsewhere() -> None:
    made = _chart("-n", "point-system", "--set", "watchNamespaces={here},formerGatewayNamespaces={old}")
    (everywhere,) = [
        one["rules"] for key, one in made.items() if key == ("ClusterRole", "", "point-operator")
    ]
    assert [(rule["resources"], rule["verbs"]) for rule in everywhere] == [
        (["gatewayclasses"], ["get"]),
    ]
    roles = {namespace: one for (kind, namespace, name), one in made.items() if (kind, name) == WATCH_ROLE}
    assert roles.keys() == {"here", "old", "istio-ingress"}
    whole = _chart()["ClusterRole", "", "point-operator"]["rules"]
    kinds_that_come = {"customresourcedefinitions"}
    assert roles["here"]["rules"] + everywhere == [
        rule for rule in whole if kinds_that_come != {*rule["resources"]}
    ]
    for namespace in ("old", "istio-ingress"):
        assert {verb for rule in roles[namespace]["rules"] for verb in rule["verbs"]} <= {
            "get",
            "list",
            "watch",
        }
    binding = made["ValidatingAdmissionPolicyBinding", "", "pointservices.pointservice.io"]["spec"]
    (selected,) = binding["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert selected["values"] == ["here"]


@pytest.mark.integration
def test_the_network_policy_is_for_the_charts_own_pods_and_closes_nobody_elses() -> None:
    made = _chart("-n", "shared")
    (check,) = _objects(
        [_program("helm"), "template", "x", str(CHART), "-n", "shared", "-s", "templates/tests/check.yaml"]
    ).values()
    policies = [one for key, one in made.items() if key[0] == "NetworkPolicy"]
    own = [made["Deployment", "shared", "point-operator"]["spec"]["template"], check]
    for pod, closed in [*((one["metadata"]["labels"], True) for one in own), ({"app": "other"}, False)]:
        reached = allowed(policies, Peer("elsewhere", {}), Peer("shared", pod), 22)
        assert reached == (not closed), pod
    selected = made["Deployment", "shared", "point-operator"]["spec"]["selector"]["matchLabels"]
    assert not selected.items() <= check["metadata"]["labels"].items()


@pytest.mark.integration
def test_without_a_network_policy_there_is_none() -> None:
    kept = {key for key in _chart("--set", "networkPolicy.enabled=false") if key[0] == "NetworkPolicy"}
    assert kept == set()


@pytest.mark.integration
def test_the_chart_has_nothing_to_mend() -> None:
    lint = [_program("helm"), "lint", "--strict", str(CHART), "--set", "monitoring.enabled=true"]
    checked = subprocess.run(lint, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout
    assert "WARNING" not in checked.stdout


def test_the_operators_pods_meet_the_restricted_standard() -> None:
    deployment = yaml.safe_load((ROOT / "operator/deploy/deployment.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def _program(name: str) -> str:
    program = paths.BIN / name
    if not program.exists():
        pytest.skip(f"not built: {name} (point-local tools)")
    return str(program)


def _chart(*arguments: str, stdin: str = "") -> Objects:
    return _objects([_program("helm"), "template", "x", str(CHART), "--skip-tests", *arguments], stdin)


def _kustomized(folder: str) -> Objects:
    return _objects([_program("kubectl"), "kustomize", str(ROOT / folder)])


def _objects(command: list[str], stdin: str = "") -> Objects:
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, input=stdin).stdout
    found = [one for one in yaml.safe_load_all(text) if one]
    return {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in found
    }
