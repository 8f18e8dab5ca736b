"""What the program's folder must and must not be."""

import sys
from pathlib import Path

import yaml
from point_infra.config import versions
from point_infra.config.versions import Chart

import pulumi

ROOT = Path(__file__).resolve().parents[2]


def test_the_folders_never_shadow_the_packages_of_their_name() -> None:
    assert not (ROOT / "pulumi" / "__init__.py").exists()
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert ROOT not in Path(pulumi.__file__).parents or ".venv" in pulumi.__file__
    assert str(ROOT) not in str(sys.modules["operator"].__file__).replace(".venv", "")


def test_every_config_key_has_a_type_and_a_description() -> None:
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert len(schema) > 30
    assert all(key["type"] and key["description"] for key in schema.values())


def test_every_chart_is_pinned_to_an_exact_version() -> None:
    charts = [v for v in vars(versions).values() if isinstance(v, Chart)]
    assert len(charts) == 9
    assert all(c.version.replace(".", "").isdigit() and c.repository.startswith("https://") for c in charts)
    # Istio stopped publishing there with 1.31.
    assert not any("istio-release.storage.googleapis.com" in c.repository for c in charts)
