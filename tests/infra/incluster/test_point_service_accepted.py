"""A real kube-apiserver takes the PointService of every stack, its validation rules included."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from point_local.alone import apiserver

CRD = Path(__file__).resolve().parents[3] / "crds" / "pointservices.yaml"

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server() -> Any:
    if missing := apiserver.missing_programs():
        pytest.skip(f"not built: {', '.join(missing)} (point-local tools)")
    with apiserver.start([CRD]) as running:
        running.kubectl("create", "namespace", "points")
        yield running


@pytest.mark.parametrize("stack", ["prod", "dev"])
def test_the_output_can_be_applied_as_it_is(server: Any, run_stack: Callable[..., Any], stack: str) -> None:
    made = run_stack(stack, preview=False).outputs["pointServiceYaml"]
    said = server.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", stdin=made)
    assert "pointservice.pointservice.io/points serverside-applied" in said
