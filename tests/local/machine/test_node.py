"""Which process a node is entered by."""

import pytest
from point_local.machine.node import is_first


def _status(numbers: str, state: str = "S (sleeping)") -> str:
    return f"Name:\tinit\nState:\t{state}\nPid:\t1\nNSpid:\t{numbers}\nThreads:\t1\n"


def test_a_node_s_first_process_is_the_first_one_level_down() -> None:
    assert is_first(_status("31987\t1"))


@pytest.mark.parametrize(
    ("numbers", "state"),
    [
        ("4711", "S (sleeping)"),  # of the machine itself
        ("4711\t17", "S (sleeping)"),  # of the node, another
        ("639\t204\t1", "S (sleeping)"),  # first of a pod that is on the node's network
        ("31987\t1", "Z (zombie)"),
    ],
)
def test_no_other_process_is(numbers: str, state: str) -> None:
    assert not is_first(_status(numbers, state))
