"""The PointService that the stack puts out is one that the CRD accepts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import yaml

CRD = Path(__file__).resolve().parents[3] / "crds" / "pointservices.yaml"


def _closed(schema: Any) -> Any:
    """The schema with unknown fields refused, as `kubectl apply` refuses them."""
    if isinstance(schema, dict):
        closed = {k: _closed(v) for k, v in schema.items() if k != "default"}
        return {**closed, "additionalProperties": False} if "properties" in schema else closed
    return [_closed(v) for v in schema] if isinstance(schema, list) else schema


def _validate(text: str) -> dict[str, Any]:
    made = yaml.safe_load(text)
    crd = yaml.safe_load(CRD.read_text())
    version = next(v for v in crd["spec"]["versions"] if v["name"] == "v1alpha1")
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    jsonschema.validate(made["spec"], _closed(spec))
    assert made["apiVersion"] == f"{crd['spec']['group']}/{version['name']}"
    return made["spec"]


def test_the_crd_accepts_it_with_every_address_filled_in(updated: Any) -> None:
    spec = _validate(updated.outputs["pointServiceYaml"])
    assert spec["database"]["host"] == updated.outputs["databaseEndpoint"]
    assert spec["database"]["readerHost"] == updated.outputs["databaseReaderEndpoint"]
    assert spec["cache"]["host"] == updated.outputs["cacheEndpoint"]
    assert spec["image"].startswith(updated.outputs["repositories"]["point-service"] + "@sha256:")


def test_it_says_the_budget_s_figures(updated: Any) -> None:
    spec = _validate(updated.outputs["pointServiceYaml"])
    assert spec["gateway"]["rateLimit"]["requestsPerSecond"] == 1000
    assert spec["autoscaling"] == {"minReplicas": 2, "maxReplicas": 10, "targetCPUUtilizationPercentage": 70}
    assert spec["gateway"]["jwt"]["issuer"] == "https://login.example.com"


def test_it_names_the_claims_and_by_itself_those_that_the_crd_takes_anyway(
    updated: Any, run_stack: Callable[..., Any]
) -> None:
    def claims(text: str) -> dict[str, str]:
        jwt = _validate(text)["gateway"]["jwt"]
        return {name: value for name, value in jwt.items() if name.endswith("Claim")}

    schema = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields = schema["properties"]["spec"]["properties"]["gateway"]["properties"]["jwt"]["properties"]
    found = claims(updated.outputs["pointServiceYaml"])
    assert found == {name: fields[name]["default"] for name in found}
    cognito = {"audienceClaim": "client_id", "memberClaim": "username", "roleClaim": "cognito:groups"}
    assert claims(run_stack("prod", preview=False, **cognito).outputs["pointServiceYaml"]) == cognito


def test_the_crd_accepts_it_without_cors_origins(run_stack: Callable[..., Any]) -> None:
    made = run_stack("prod", preview=False, corsOrigins=[])
    assert "cors" not in _validate(made.outputs["pointServiceYaml"])["gateway"]


def test_every_secret_that_it_names_is_mirrored_from_secrets_manager(updated: Any) -> None:
    spec = _validate(updated.outputs["pointServiceYaml"])
    mirrored = {
        s["spec"]["target"]["name"]: s["spec"]["dataFrom"] for s in updated.of(":ExternalSecret").values()
    }
    named = {
        spec["database"]["credentialsSecret"],
        spec["database"]["migrationSecret"],
        spec["cache"]["authSecret"],
    }
    assert set(mirrored) == named
    assert mirrored["points-db"][0]["extract"]["key"] == updated.outputs["databaseSecretArn"]


def test_the_key_of_the_logs_names_is_a_secret_of_the_services_namespace(updated: Any) -> None:
    named = _validate(updated.outputs["pointServiceYaml"])["logKeySecret"]
    made = updated.of(":Secret")[named]
    assert made["metadata"] == {"name": named, "namespace": "points"}
    assert set(made["stringData"]["value"]) == {"key"}  # a secret of the stack's state, too
    assert updated.of(":RandomPassword")["platform-log"]["length"] >= 16


def test_every_output_that_a_user_looks_up_is_there(updated: Any) -> None:
    assert updated.outputs["names"] == [
        "alarmTopicArn", "cacheEndpoint", "cacheSecretArn", "clusterName", "dashboardUrl", "databaseEndpoint",
        "databaseMasterSecretArn", "databaseReaderEndpoint", "databaseSecretArn", "kubeconfigCommand",
        "loadBalancerName", "monthlyCostByService", "monthlyCostIsComplete", "monthlyCostUsd", "nameServers",
        "operatorImageDigest", "pointServiceYaml", "privateSubnetIds", "repositories", "runnerProject",
        "serviceImageDigest", "url", "vpcId",
    ]  # fmt: skip
    kinds = {
        "monthlyCostUsd": float,
        "monthlyCostByService": dict,
        "monthlyCostIsComplete": bool,
        "nameServers": list,
        "privateSubnetIds": list,
        "repositories": dict,
    }
    assert {k: type(updated.outputs[k]) for k in updated.outputs["names"]} == {
        k: kinds.get(k, str) for k in updated.outputs["names"]
    }
    assert [k for k in updated.outputs["names"] if not updated.outputs[k]] == ["runnerProject"]  # it has none
    assert updated.outputs["url"] == "https://points.example.com"
    assert updated.outputs["kubeconfigCommand"].startswith(
        "aws eks update-kubeconfig --region ap-northeast-2"
    )
