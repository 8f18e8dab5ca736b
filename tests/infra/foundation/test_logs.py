"""What the control plane wrote after an earlier stack was gone is in nobody's way."""

from collections.abc import Callable
from typing import Any

import pytest

LEFT = "/aws/eks/point-dev/cluster"


@pytest.mark.parametrize("preview", [False, True])
def test_a_log_group_that_the_control_plane_left_is_taken_over(
    run_stack: Callable[..., Any], *, preview: bool
) -> None:
    made = run_stack("dev", preview=preview, left=[LEFT])
    assert {r.name: r.taken_over for r in made.resources if r.taken_over} == {"cluster-control-plane": LEFT}
    assert made.of(":LogGroup")["cluster-control-plane"]["retentionInDays"] == 7


def test_another_cluster_s_is_left_alone(run_stack: Callable[..., Any]) -> None:
    made = run_stack(
        "dev", preview=False, left=["/aws/eks/point-dev/cluster-2", "/aws/eks/point-dev-2/cluster"]
    )
    assert not [r.name for r in made.resources if r.taken_over]
