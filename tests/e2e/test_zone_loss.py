"""The writer's zone goes dark under load: members are served again, and the books are right."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from harness.sizes import LONG
from point_local.drill import blows, zones
from point_local.drill.blows import Blow
from point_local.failover import controller
from point_local.programs.command import wait
from point_local.stack import data

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def _nothing_is_lost(blow: Blow, zone: str) -> None:
    result = zones.drill(blow)
    zones.console.print(zones.table([result]))
    assert (result.verdict.missing, result.verdict.doubled, result.verdict.verified) == (0, 0, True)
    assert result.seen.promoted.startswith(f"{zone} → ")
    assert result.verdict.unanswered == 0
    assert result.seen.refused == {}
    # How long that takes is a figure of the machine, not of the program: `make drill` judges it.


def _behind(writer: str) -> int:
    """How many copies have received what they have not executed."""
    copies = controller.observe(writer)
    return sum(c is not None and not c.applied for z, c in copies.items() if z != writer)


@pytest.mark.long
@pytest.mark.parametrize("mode", zones.MODES if LONG else ["cut"])  # below, one is stopped
def test_no_acknowledged_point_is_lost_when_the_writers_zone_goes_dark(mode: str) -> None:
    zone = controller.recorded_writer()
    (blow,) = blows.zones(zone, [mode])
    _nothing_is_lost(blow, zone)


def test_nothing_is_lost_when_the_copies_are_behind_and_the_controller_dies_half_way() -> None:
    zone = controller.recorded_writer()
    (dark,) = blows.zones(zone, ["stop"])

    def kill_the_controller() -> None:
        running = controller.DAEMON.process()
        assert running is not None
        running.kill()
        running.wait(10)

    @contextmanager
    def strike() -> Generator[None]:
        kill_the_controller()  # it would set the copies right
        for other in controller.ZONES:
            if other != zone:
                data.execute(other, "STOP REPLICA SQL_THREAD")
        # Commits go on: a copy acknowledges what it has received, executed or not.
        wait("both copies are behind", lambda: _behind(zone) == 2, seconds=60)
        with dark.strike():
            controller.start()
            wait(
                "a new writer is recorded", lambda: controller.recorded_writer() != zone, seconds=60, every=0
            )
            kill_the_controller()
            controller.start()
            yield

    _nothing_is_lost(Blow("copies behind, controller dies", strike, dark.lasting), zone)
