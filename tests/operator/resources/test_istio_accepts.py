"""Istio's own validation of what the operator makes."""

import subprocess
from pathlib import Path

import pytest
from point_local.programs import paths

pytestmark = pytest.mark.integration

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["minimal", "full", "rate_limit", "gateway_api"])
def test_istio_finds_nothing_wrong(name: str) -> None:
    istioctl = paths.BIN / "istioctl"
    if not istioctl.exists():
        pytest.skip("not built: istioctl (point-local tools)")
    file = str(GOLDEN / f"{name}.yaml")
    checked = subprocess.run([istioctl, "validate", "-f", file], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr
    assert "telemetry labels" not in checked.stdout + checked.stderr
    analyzed = subprocess.run(
        [istioctl, "analyze", "--use-kube=false", file], capture_output=True, text=True, timeout=60
    )
    assert analyzed.returncode == 0, analyzed.stdout
