"""The bill of images in docs/infrastructure.md has every image of everything that is declared, and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from point_infra.config import versions

ROOT = Path(__file__).resolve().parents[3]
FACTS = {f.stem: json.loads(f.read_text()) for f in (Path(__file__).parent / "charts").glob("*.json")}
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
NEWEST = versions.KUBERNETES[-1]
NOT_PULLED = {
    "crds.upgradeJob.image.busybox": "crds.upgradeJob.enabled is off",
    "crds.upgradeJob.image.kubectl": "crds.upgradeJob.enabled is off",
    "prometheusOperator.admissionWebhooks.deployment.image": "its own webhook Deployment is off",
    "prometheusOperator.thanosImage": "what a Thanos sidecar would be; there is none",
    "thanosRuler.thanosRulerSpec.image": "thanosRuler.enabled is off",
    "kubeRBACProxy.image": "kubeRBACProxy.enabled is off",
    "permissionInitContainer.image": "the text-file collector's volume is off",
    "testFramework.image": "`helm test` only",
    "downloadDashboardsImage": "no dashboard is downloaded",
    "initChownData.image": "Grafana has no volume",
    "imageRenderer.image": "imageRenderer.enabled is off",
}
"""Images of a chart's values that nobody pulls, each with the reason."""


def _bill() -> dict[str, dict[str, str]]:
    """What the document says: by release, add-on or manifest, its images with their versions."""
    section = (
        (ROOT / "docs" / "infrastructure.md").read_text().split("\n## Bill of images\n")[1].split("\n## ")[0]
    )
    bill: dict[str, dict[str, str]] = {}
    for image, version, of, _ in ROW.findall(section)[1:]:
        bill.setdefault(of, {})[image] = version
    bill.pop("---", None)
    return bill


def _images(chart: str, installed: str) -> dict[str, str]:
    """Images that a chart's pods have by its defaults; a tag that is the chart's own version is the installed one's."""
    facts = FACTS[chart]
    found: dict[str, str] = {}
    for path, image in facts["images"].items():
        if path not in NOT_PULLED:
            name, _, tag = image.rpartition(":")
            found[name] = f"v{installed}" if tag == f"v{facts['version']}" else tag
    for brought, version in facts.get("charts", {}).items():
        found |= _images(brought, version)
    return found


def test_every_image_of_every_release_is_in_the_bill_with_its_version(updated: Any) -> None:
    bill = _bill()
    for name, release in updated.of(":Release").items():
        assert bill.get(name, {}) == _images(release["chart"], release["version"]), name


def test_every_add_on_is_in_the_bill_with_the_version_that_is_installed(updated: Any) -> None:
    declared = {a["addonName"]: a["addonVersion"] for a in updated.of("eks/addon:Addon").values()}
    assert declared == versions.ADD_ONS[NEWEST]
    assert {a: set(_bill().get(a, {}).values()) for a in declared} == {a: {v} for a, v in declared.items()}


def test_the_images_of_our_own_manifests_are_in_the_bill() -> None:
    chart = yaml.safe_load((ROOT / "operator" / "chart" / "values.yaml").read_text())
    name, _, tag = chart["rateLimitImage"].rpartition(":")
    bill = _bill()
    assert bill["operator"] == {"ECR/point-operator": "the digest in the config", name: tag}
    assert [*bill["PointService"]] == ["ECR/point-service"]


def test_the_bill_has_no_row_for_what_is_not_declared(updated: Any) -> None:
    declared = {*updated.of(":Release"), *versions.ADD_ONS[NEWEST], "operator", "PointService"}
    assert _bill().keys() - declared == set()


def test_istio_s_images_come_from_where_1_31_is_published(updated: Any) -> None:
    releases = updated.of(":Release")
    assert {releases[n]["values"]["global"]["hub"] for n in ("istiod", "istio-cni")} == {"docker.io/istio"}
    assert FACTS["istiod"]["images"]["image"].startswith("docker.io/istio/")


def test_what_is_not_pulled_is_in_some_chart() -> None:
    assert NOT_PULLED.keys() <= {path for facts in FACTS.values() for path in facts["images"]}
