"""The writer's zone goes dark under load: members are served again, and the books are right."""

import pytest
from point_local import blows, drill, failover

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.mark.parametrize("mode", drill.MODES)
def test_no_acknowledged_point_is_lost_when_the_writers_zone_goes_dark(mode: str) -> None:
    zone = failover.recorded_writer()
    (blow,) = blows.zones(zone, [mode])
    result = drill.drill(blow)
    drill.console.print(drill.table([result]))
    assert (result.verdict.missing, result.verdict.doubled, result.verdict.verified) == (0, 0, True)
    assert result.seen.promoted.startswith(f"{zone} → ")
    assert result.seen.unanswered == 0
    # How long that takes is a figure of the machine, not of the program: `make drill` judges it.
