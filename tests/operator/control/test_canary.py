"""What becomes of the canary of a new image, step by step."""

import copy
import datetime
from typing import Any

import msgspec
import pytest
from point_operator.control import canary
from point_operator.control.canary import Record
from point_operator.model import api
from point_operator.observe.look import Seen
from point_operator.observe.workload import Counts, Rollout
from point_operator.resources.surroundings import Release

OLD, NEW = "service:1", "service:2"
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
GOOD = Rollout(exists=True, complete=True, available=True, wanted=1, ready=1, serving=1, image=NEW)
OLD_PODS = Rollout(exists=True, complete=True, available=True, wanted=2, ready=2, serving=2, image=OLD)
FINE = Seen(running=OLD_PODS, canary=GOOD, canary_counts={"p": Counts(200, 2)})


def _at(seconds: float) -> datetime.datetime:
    return START + datetime.timedelta(seconds=seconds)


@pytest.fixture
def point_service(spec: dict[str, Any]) -> api.PointService:
    """One that wants NEW, after a canary of 60 s in which at most 5 percent may fail."""
    return _point_service(spec)


def _point_service(spec: dict[str, Any], **changes: Any) -> api.PointService:
    wanted = copy.deepcopy(spec) | {"image": NEW, "rollout": {"strategy": "Canary"}} | changes
    return api.parse({"metadata": {"name": "points", "namespace": "points", "uid": "u"}, "spec": wanted})


@pytest.fixture
def running(point_service: api.PointService) -> Record:
    """A canary that has just begun to get requests."""
    first = canary.decide(point_service, OLD, None, Seen(running=OLD_PODS), START)
    record = canary.decide(point_service, OLD, first, Seen(running=OLD_PODS, canary=GOOD), START)
    assert record is not None
    assert record.state == "Running"
    return record


def test_a_new_image_starts_without_requests(point_service: api.PointService) -> None:
    record = canary.decide(point_service, OLD, None, Seen(running=OLD_PODS), START)
    assert record is not None
    assert record.state == "Starting"
    assert canary.release(point_service, OLD, record, Seen(running=OLD_PODS), START) == Release(OLD, 2, 0)


@pytest.mark.parametrize(
    ("stable", "changes"),
    [("", {}), (NEW, {}), (OLD, {"rollout": {"strategy": "RollingUpdate"}}), (OLD, {"rollout": {}})],
    ids=["the first image", "the image that serves", "a rolling update", "by default"],
)
def test_there_is_no_canary_of(spec: dict[str, Any], stable: str, changes: dict[str, Any]) -> None:
    assert canary.decide(_point_service(spec, **changes), stable, None, FINE, START) is None


def test_a_canary_gets_its_share_once_all_its_pods_serve(
    point_service: api.PointService, running: Record
) -> None:
    assert canary.release(point_service, OLD, running, FINE, START) == Release(OLD, 2, 10)


def test_a_canary_has_as_many_pods_as_its_share_needs(spec: dict[str, Any], running: Record) -> None:
    point_service = _point_service(spec, rollout={"strategy": "Canary", "canary": {"weight": 25}})
    many = msgspec.structs.replace(OLD_PODS, wanted=10)
    assert canary.release(point_service, OLD, running, Seen(running=many), START).canary == 3


def test_pods_of_another_image_do_not_count_as_started(point_service: api.PointService) -> None:
    first = canary.decide(point_service, OLD, None, Seen(), START)
    other = msgspec.structs.replace(GOOD, image="service:other")
    assert canary.decide(point_service, OLD, first, Seen(canary=other), START) == first


@pytest.mark.parametrize(
    ("seconds", "seen", "state", "message"),
    [
        (30, FINE, "Running", ""),
        (60, FINE, "Promoting", ""),
        (60, Seen(canary=GOOD, canary_counts={"p": Counts()}), "Promoting", ""),
        (30, Seen(canary=GOOD, canary_counts={"p": Counts(19, 19)}), "Running", ""),
        (60, Seen(canary=GOOD, canary_counts={"p": Counts(19, 1)}), "Failed", "1 of 19 requests failed (5.3 percent"),
        (2, Seen(canary=GOOD, canary_counts={"p": Counts(40, 3)}), "Failed", "failed (7.5 percent, at most 5"),
        (60, Seen(canary=GOOD, canary_counts={"p": Counts(100, 5)}), "Promoting", ""),
        (30, Seen(canary=Rollout(image=NEW), canary_troubles=("p: gone",)), "Running", ""),
        (30, Seen(canary=GOOD, canary_restarts=2, canary_counts={"p": Counts(9, 0)}), "Failed", "restarted 2 times"),
        (90, Seen(canary=GOOD, canary_counts=None), "Running", ""),
        (120, Seen(canary=GOOD, canary_counts=None), "Failed", "could not be counted"),
    ],
    ids=[
        "well so far", "well to the end", "nobody came", "too few to judge early", "few, but judged at the end",
        "enough to judge early", "just as many errors as allowed", "no pod for a moment", "restarts",
        "not countable yet", "never countable",
    ],
)  # fmt: skip
def test_what_becomes_of_a_canary(
    point_service: api.PointService, running: Record, seconds: float, seen: Seen, state: str, message: str
) -> None:
    after = canary.decide(point_service, OLD, running, seen, _at(seconds))
    assert after is not None
    assert after.state == state
    assert message in after.message
    assert bool(after.message) == (state == "Failed")


def test_pods_that_do_not_start_in_time_end_the_canary(point_service: api.PointService) -> None:
    first = canary.decide(point_service, OLD, None, Seen(), START)
    stuck = Rollout(exists=True, stuck=True, image=NEW)
    after = canary.decide(
        point_service, OLD, first, Seen(canary=stuck, canary_troubles=("p: crashed",)), _at(180)
    )
    assert after is not None
    assert (after.state, after.message) == ("Failed", "no pod became ready in time. p: crashed")


def test_a_failed_canary_gets_nothing_and_is_not_repeated(
    point_service: api.PointService, running: Record
) -> None:
    failed = canary.decide(
        point_service, OLD, running, Seen(canary=GOOD, canary_counts={"p": Counts(50, 50)}), _at(5)
    )
    assert failed is not None
    assert canary.release(point_service, OLD, failed, FINE, _at(16)) == Release(OLD, 2, 0)
    assert canary.release(point_service, OLD, failed, FINE, _at(17)) == Release(OLD)
    assert canary.decide(point_service, OLD, failed, Seen(running=OLD_PODS), _at(100_000)) == failed
    assert canary.next_look(failed, _at(100_000)) is None


@pytest.mark.parametrize(
    "change", [{"image": "service:3"}, {"rollout": {"strategy": "Canary", "canary": {"weight": 5}}}], ids=str
)
def test_another_image_or_other_terms_are_another_canary(
    spec: dict[str, Any], point_service: api.PointService, running: Record, change: dict[str, Any]
) -> None:
    failed = canary.decide(
        point_service, OLD, running, Seen(canary=GOOD, canary_counts={"p": Counts(50, 50)}), _at(5)
    )
    after = canary.decide(_point_service(spec, **change), OLD, failed, Seen(), _at(9))
    assert after is not None
    assert (after.state, after.requests, after.message) == ("Starting", 0, "")


def test_another_log_level_is_the_same_canary(spec: dict[str, Any], running: Record) -> None:
    after = canary.decide(_point_service(spec, logLevel="DEBUG"), OLD, running, FINE, _at(9))
    assert after is not None
    assert after.state == "Running"


def test_a_promoted_image_is_done_when_the_services_own_pods_run_it(
    point_service: api.PointService, running: Record
) -> None:
    promoted = canary.decide(point_service, OLD, running, FINE, _at(60))
    assert promoted is not None
    assert canary.release(point_service, OLD, promoted, FINE, _at(60)) == Release(NEW, 2, 10)
    assert canary.decide(point_service, OLD, promoted, FINE, _at(70)) == promoted
    rolled = msgspec.structs.replace(OLD_PODS, image=NEW)
    done = canary.decide(point_service, OLD, promoted, Seen(running=rolled, canary=GOOD), _at(80))
    assert done is not None
    assert (done.state, done.requests, done.errors) == ("Succeeded", 200, 2)
    assert canary.release(point_service, NEW, done, Seen(running=rolled), _at(91)) == Release(NEW, 2, 0)
    assert canary.release(point_service, NEW, done, Seen(running=rolled), _at(92)) == Release(NEW)
    assert canary.decide(point_service, NEW, done, Seen(running=rolled), _at(90)) == done


def test_a_drained_node_is_no_verdict(point_service: api.PointService, running: Record) -> None:
    """Pods that are moved get no requests meanwhile, and are waited for as long as a rollout is."""
    gone = Seen(running=OLD_PODS, canary=Rollout(image=NEW), canary_troubles=("p: not scheduled",))
    away = canary.decide(point_service, OLD, running, gone, _at(50))
    assert away is not None
    assert away.state == "Running"
    assert canary.release(point_service, OLD, away, gone, _at(50)) == Release(OLD, 2, 0)
    late = canary.decide(point_service, OLD, away, gone, _at(229))
    assert late is not None
    assert late.state == "Running"
    back = canary.decide(point_service, OLD, late, FINE, _at(229))
    assert back is not None
    assert (back.state, back.away) == ("Promoting", "")
    failed = canary.decide(point_service, OLD, late, gone, _at(230))
    assert failed is not None
    assert (failed.state, failed.message) == ("Failed", "no pod is ready any more. p: not scheduled")


def test_what_a_replaced_pod_has_counted_stays_counted(
    point_service: api.PointService, running: Record
) -> None:
    first = Seen(running=OLD_PODS, canary=GOOD, canary_counts={"one": Counts(15, 0), "two": Counts(1, 0)})
    record = canary.decide(point_service, OLD, running, first, _at(5))
    second = Seen(running=OLD_PODS, canary=GOOD, canary_counts={"three": Counts(5, 1), "two": Counts(4, 1)})
    record = canary.decide(point_service, OLD, record, second, _at(7))
    assert record is not None
    assert (record.requests, record.errors) == (24, 2)
    assert record.state == "Failed", "8 percent of 24, of which no pod had 20"


def test_an_attempt_is_named_after_what_the_user_wrote(point_service: api.PointService) -> None:
    """Another name would have every canary that failed tried again by a new release of the operator."""
    record = canary.decide(point_service, OLD, None, Seen(running=OLD_PODS), START)
    assert record is not None
    assert record.attempt == "b4b4c7186b"


def test_setting_the_image_back_withdraws_the_canary_at_once(spec: dict[str, Any], running: Record) -> None:
    back = _point_service(spec, image=OLD)
    after = canary.decide(back, OLD, running, FINE, _at(9))
    assert after is not None
    assert after.state == "Withdrawn"
    assert canary.release(back, OLD, after, FINE, _at(9)) == Release(OLD, 2, 0)
    assert canary.decide(back, OLD, after, FINE, _at(21)) is None


def test_a_rolling_update_overrules_a_failed_canary(spec: dict[str, Any], running: Record) -> None:
    failed = msgspec.structs.replace(running, state="Failed", message="bad")
    at_once = _point_service(spec, rollout={"strategy": "RollingUpdate"})
    after = canary.decide(at_once, OLD, failed, Seen(), _at(60))
    assert after is None
    assert canary.release(at_once, OLD, after, FINE, _at(60)) == Release(NEW)


def test_the_record_is_read_as_it_was_written(running: Record) -> None:
    assert canary.recorded({"canary": msgspec.to_builtins(running)}) == running
    assert canary.recorded({}) is None
