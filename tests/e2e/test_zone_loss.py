"""The writer's zone goes dark under load: members are served again, and the books are right."""

import pytest
from point_local import drill, failover

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.mark.parametrize("mode", drill.MODES)
def test_no_acknowledged_point_is_lost_when_the_writers_zone_goes_dark(mode: str) -> None:
    zone = failover.recorded_writer()
    result = drill.drill(zone, mode)
    drill.console.print(drill.table([result]))
    assert (result.missing, result.doubled, result.verified) == (0, 0, True)
    assert result.promoted.startswith(f"{zone} → ")
    assert result.unanswered == 0
    # How long that takes is a figure of the machine, not of the program: `make drill` judges it.
