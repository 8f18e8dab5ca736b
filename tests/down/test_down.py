"""`make down` leaves nothing, whatever state it finds."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.uplink import Uplink
from point_local.commands import leftovers
from point_local.commands import up as stack
from point_local.machine import cluster
from point_local.programs.command import wait

pytestmark = pytest.mark.down


def snapshot() -> dict[str, list[str]]:
    """Namespaces, interfaces, routes, mounts and cgroups of the whole machine, ours or not."""

    def lines(*command: str) -> list[str]:
        return sorted(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())

    groups = Path("/sys/fs/cgroup")
    return {
        "namespaces": lines("ip", "netns", "list"),
        "interfaces": sorted(i.name for i in Path("/sys/class/net").iterdir()),
        "routes": lines("ip", "route"),
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "cgroups": sorted(str(g) for c in groups.iterdir() if c.is_dir() for g in c.iterdir() if g.is_dir()),
    }


def test_a_running_stack_goes_without_a_trace() -> None:
    if not cluster.running():
        stack.up()
    assert leftovers.find()
    stack.down()
    assert leftovers.find() == []


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize(
    "reached",
    [
        lambda: Path("/sys/class/net/azbr0").exists(),
        lambda: any(n.init() for n in cluster.NODES),
        lambda: cluster.CONTROL.folder.joinpath("kubernetes", "admin.conf").exists(),
    ],
    ids=["the bridge is made", "a machine runs", "kubeadm has begun"],
)
def test_a_killed_start_goes_without_a_trace(reached: Callable[[], bool]) -> None:
    before = snapshot()
    start = subprocess.Popen(
        [Path(sys.executable).parent / "point-local", "up"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait("the start has come far enough", reached, seconds=300, every=0.05)
    os.killpg(start.pid, signal.SIGKILL)
    start.wait(10)
    assert leftovers.find()
    stack.down()
    assert leftovers.find() == []
    assert snapshot() == before


@pytest.mark.usefixtures("bare_machine")
def test_a_warm_start_sends_nothing_off_this_machine() -> None:
    with Uplink() as uplink:
        stack.up()
    stack.down()
    if not uplink.quiet:
        pytest.skip("other programs use the uplink: what left says nothing about ours")
    assert not uplink.sent


@pytest.mark.usefixtures("bare_machine")
def test_down_on_a_bare_machine_does_nothing() -> None:
    before = snapshot()
    stack.down()
    assert snapshot() == before
    assert leftovers.find() == []
