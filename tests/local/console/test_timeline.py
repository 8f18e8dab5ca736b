"""What is told of two looks, and that the lines are bounded."""

import pytest
from point_local.console.state import Pod, Zone
from point_local.console.timeline import KEPT, Changes, Sight, Timeline

ROLES = {
    "mysql-a-0": "writer",
    "mysql-b-0": "copy",
    "mysql-c-0": "reader",
    "valkey-a-0": "primary",
    "valkey-c-0": "replica",
    "point-operator-1-x": "leader",
}
TIERS = {"mysql": "database", "valkey": "cache", "point": "operator", "points": "service"}


def sight(at: float, dark: str = "", answers: int | None = 200, pods: int = 2, **roles: str) -> Sight:
    """A look with these roles instead of the usual ones, by the pod's name with underscores; "" is no role."""
    said = ROLES | {name.replace("_", "-"): role for name, role in roles.items()}
    made = [pod(name, role) for name, role in said.items()]
    serving = [pod(f"points-1-{n}", "") for n in range(pods)]
    zones = [Zone(node=f"az-{z}", name=f"zone-{z}", runs=z != dark, ready=True) for z in "abc"]
    return Sight(at=at, zones=zones, pods=[*made, *serving], answers=answers)


def pod(name: str, role: str) -> Pod:
    return Pod(
        name=name, workload="w", tier=TIERS[name.split("-")[0]], node="az-a", ready=True, phase="Running",
        since=0.0, restarts=0, role=role,
    )  # fmt: skip


def test_a_first_look_and_one_like_it_tell_nothing() -> None:
    changes = Changes()
    assert changes.seen(sight(0)) == []
    assert changes.seen(sight(1)) == []


def test_a_writer_that_is_lost_is_told_as_it_happens_with_how_long_it_took() -> None:
    changes = Changes()
    changes.seen(sight(100))
    told = [
        changes.seen(sight(101, "a", mysql_a_0="writer, silent", valkey_a_0="silent")),
        changes.seen(sight(103, "a", None, mysql_a_0="writer, silent", valkey_a_0="silent")),
        changes.seen(sight(110.4, "a", 200, mysql_a_0="silent", mysql_c_0="writer, reader", valkey_a_0="silent",
                           valkey_c_0="primary")),
        changes.seen(sight(125, mysql_a_0="reader", mysql_c_0="writer", valkey_a_0="replica", valkey_c_0="primary")),
    ]  # fmt: skip
    assert told == [
        [("az-a is dark", True), ("writer a is silent", True), ("Redis a, primary, is silent", True)],
        [("the edge: no answer", True)],
        [
            ("copy a is silent", True),
            ("c is the writer, 9.4 s", False),
            ("c is the primary of Redis, 9.4 s", False),
            ("the edge: answers, 7.4 s", False),
        ],
        [
            ("az-a runs, 24.0 s", False),
            ("MySQL a: reader", False),
            ("MySQL c: writer", False),
            ("Redis a: replica", False),
        ],
    ]


@pytest.mark.parametrize(
    ("after", "line"),
    [
        (sight(1, pods=1), ("service pods: 1 ready, before 2", True)),
        (sight(1, pods=3), ("service pods: 3 ready, before 2", False)),
        (
            sight(1, point_operator_1_x="", point_operator_1_y="leader"),
            ("y leads the operators, before x", False),
        ),
        (sight(1, mysql_b_0="copy, follows nobody"), ("MySQL b: copy, follows nobody", True)),
        (sight(1, answers=503), ("the edge: answers 503", True)),
    ],
)
def test_each_change_is_a_line(after: Sight, line: tuple[str, bool]) -> None:
    changes = Changes()
    changes.seen(sight(0, point_operator_1_y="") if "leads" in line[0] else sight(0))
    assert changes.seen(after) == [line]


def test_what_did_not_answer_is_no_change() -> None:
    changes = Changes()
    changes.seen(sight(0))
    unknown = Sight(at=1, zones=sight(1).zones, pods=[], answers=200)
    assert changes.seen(unknown) == []
    assert changes.seen(sight(2)) == []


def test_what_happened_unseen_is_not_told() -> None:
    changes = Changes()
    changes.seen(sight(0))
    changes.forget()
    assert changes.seen(sight(100, "a")) == []


def test_no_line_is_older_than_the_one_before_it() -> None:
    timeline = Timeline()
    timeline.tell("a zone begins", at=10.0)
    timeline.tell("seen by a look that began before", at=9.0)
    assert [line.at for line in timeline.lines()] == [10.0, 10.0]


def test_the_lines_are_in_order_and_bounded() -> None:
    timeline = Timeline()
    for number in range(KEPT + 5):
        timeline.tell(f"line {number}", at=float(number))
    kept = timeline.lines()
    assert len(kept) == KEPT
    assert [line.number for line in kept] == list(range(6, KEPT + 6))
    assert kept[-1].text == f"line {KEPT + 4}"
