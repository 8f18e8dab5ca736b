"""Two processes that ask for free ports at the same time are given no port twice."""

import os
import subprocess
import sys
from collections import deque

from point_local.alone import ports

COUNT = 500  # of what the kernel chooses at random for two processes, about 25 are the same

ASK = f"""
from point_local.alone import ports
print(*[ports.free_port() for _ in range({COUNT})], flush=True)
input()
"""


def _asking() -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_no_port_is_given_twice() -> None:
    with _asking() as one, _asking() as other:
        given = []
        for process in (one, other):
            assert process.stdout is not None
            given += process.stdout.readline().split()
        one.communicate("\n")
        other.communicate("\n")
    assert len(given) == 2 * COUNT
    assert len(set(given)) == len(given)


def test_a_port_is_given_again_in_time(monkeypatch) -> None:
    """A process that asks for ever uses up neither ports nor files."""
    given = deque(maxlen=2)
    monkeypatch.setattr(ports, "_given", given)
    first = ports.free_port()
    assert not ports._mark(first)
    ports.free_port()
    ports.free_port()
    assert ports._mark(first)
    for mark in given:
        os.close(mark)
