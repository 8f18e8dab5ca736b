"""The bill of images in docs/infrastructure.md has every image of everything that is declared, and nothing else."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from point_infra.config import versions
from point_infra.foundation.image_cache import OPEN, SIGNED

ROOT = Path(__file__).resolve().parents[3]
FACTS = {f.stem: json.loads(f.read_text()) for f in (Path(__file__).parent / "charts").glob("*.json")}
ROW = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
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


def _rows() -> list[tuple[str, ...]]:
    section = (
        (ROOT / "docs" / "infrastructure.md").read_text().split("\n## Bill of images\n")[1].split("\n## ")[0]
    )
    return [row for row in ROW.findall(section)[1:] if row[0] != "---"]


def _bill() -> dict[str, dict[str, str]]:
    """What the document says: by release, add-on or manifest, its images with their versions."""
    bill: dict[str, dict[str, str]] = {}
    for image, version, of, *_ in _rows():
        bill.setdefault(of, {})[image] = version
    return bill


def _pulled(chart: str, values: dict[str, Any], istiod: dict[str, Any]) -> dict[str, str]:
    """By image, the registry and prefix that a chart's values have its pods pull it from."""
    found: dict[str, str] = {}
    for path, image in FACTS[chart]["images"].items():
        if path in NOT_PULLED:
            continue
        name = image.rpartition(":")[0]
        own: Any = values
        for part in path.split("."):
            own = own.get(part, {})
        if chart in ("istiod", "cni", "gateway"):  # the gateway's proxy is istiod's, as every other
            own = {"repository": f"{istiod['global']['hub']}/{name.rsplit('/', 1)[-1]}"}
        repository = own.get("repository") or own.get("image_name") or f"{own['registry']}/{_path(name)}"
        assert repository.endswith("/" + _path(name)), name
        found[name] = repository.removesuffix("/" + _path(name))
    for brought in FACTS[chart].get("charts", {}):
        found |= _pulled(brought, values.get(brought, {}), istiod)
    return found


def _path(image: str) -> str:
    """An image's name without the host."""
    return image.split("/", 1)[1]


def _through(run: Any) -> dict[tuple[str, str], str]:
    """By release and image, where it is pulled from."""
    releases = run.of(":Release")
    istiod = releases["istiod"]["values"]
    return {
        (release, image): source
        for release, r in releases.items()
        for image, source in _pulled(r["chart"], r.get("values") or {}, istiod).items()
    }


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
        images = _images(release["chart"], release["version"])
        if tag := (release.get("values") or {}).get("image", {}).get("tag"):
            images = dict.fromkeys(images, tag)
        assert bill.get(name, {}) == images, name


SECRET = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:ecr-pullthroughcache"


@pytest.fixture(scope="module")
def signed(run_stack: Callable[..., Any]) -> Any:
    """Where ECR may sign in to Docker Hub and to GitHub's registry."""
    secrets = {"dockerHubSecretArn": f"{SECRET}/hub-AbCdEf", "githubSecretArn": f"{SECRET}/git-AbCdEf"}
    return run_stack("prod", preview=False, **secrets)


def test_the_bill_says_what_comes_through_the_cache_and_what_only_with_a_secret(
    updated: Any, signed: Any
) -> None:
    found: dict[tuple[str, str], str] = {}
    for key, source in _through(updated).items():
        with_secret = _through(signed)[key]
        found[key] = (
            "the cache"
            if ".dkr.ecr." in source
            else "the cache, with a secret"
            if ".dkr.ecr." in with_secret
            else "nothing"
        )
    said = {(of, image): through for image, _, of, _, through in _rows()}
    assert {key: said[key] for key in found} == found
    assert {said[key] for key in said.keys() - found.keys()} == {"this region's registry", "nothing"}


def test_each_origin_has_its_own_prefix_and_nodes_may_import_into_no_other(signed: Any) -> None:
    rules = signed.of(":PullThroughCacheRule").values()
    assert {r["ecrRepositoryPrefix"]: r["upstreamRegistryUrl"] for r in rules} == {
        f"point-prod/{origin.part}": origin.url for origin in (OPEN | SIGNED).values()
    }
    assert {r["ecrRepositoryPrefix"] for r in rules if "credentialArn" in r} == {
        f"point-prod/{origin.part}" for origin in SIGNED.values()
    }
    for image, source in ((i, s) for (_, i), s in _through(signed).items()):
        assert source.split("/")[2] == (OPEN | SIGNED)[image.split("/")[0]].part, image
    (statement,) = json.loads(signed.of(":RolePolicy")["cluster-node-images"]["policy"])["Statement"]
    assert {r.split(":repository/")[1] for r in statement["Resource"]} == {
        f"{r['ecrRepositoryPrefix']}/*" for r in rules
    }


def test_without_the_cache_images_come_from_where_they_are_published(run_stack: Callable[..., Any]) -> None:
    direct = run_stack("prod", preview=False, imageCache=False)
    assert not direct.of(":PullThroughCacheRule")
    assert "cluster-node-images" not in direct.of(":RolePolicy")
    assert all(image.startswith(f"{source}/") for (_, image), source in _through(direct).items())


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
