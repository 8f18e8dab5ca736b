"""The two ways to install say the same."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from point_local.programs import paths

ROOT = Path(__file__).resolve().parents[3]

Objects = dict[tuple[str, str, str], dict[str, Any]]


def test_the_chart_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "operator/generate_chart.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stdout


def test_chart_and_kustomization_make_the_same_objects(tmp_path: Path) -> None:
    helm, kubectl = _program("helm"), _program("kubectl")
    chart = _objects([helm, "template", "x", str(ROOT / "operator/chart"), "-n", "point-system"], tmp_path)
    plain = _objects([kubectl, "kustomize", str(ROOT / "operator/deploy")], tmp_path)
    apart = {
        ("Namespace", "", "point-system"),
        (
            "CustomResourceDefinition",
            "",
            "pointservices.pointservice.io",
        ),  # in the chart's own folder for them
    }
    assert {key: value for key, value in plain.items() if key not in apart} == chart


def test_the_chart_gives_rights_at_every_gateway(tmp_path: Path) -> None:
    values = ["--set", "gatewayNamespaces={one,two}"]
    made = _objects([_program("helm"), "template", "x", str(ROOT / "operator/chart"), *values], tmp_path)
    roles = {namespace for kind, namespace, _ in made if kind == "Role"}
    assert {"one", "two"} <= roles
    deployment = next(one for (kind, _, _), one in made.items() if kind == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {"name": "POINT_OPERATOR_GATEWAY_NAMESPACES", "value": "one,two"} in container["env"]


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


def _objects(command: list[str], home: Path) -> Objects:
    environment = {**os.environ, "HOME": str(home), "HELM_CACHE_HOME": str(home)}
    text = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, env=environment
    ).stdout
    found = [one for one in yaml.safe_load_all(text) if one]
    return {
        (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]): one for one in found
    }
