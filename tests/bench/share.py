"""CPU groups of the machine for what a benchmark runs: its share does not depend on who started it, or beside what."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PERIOD = 100_000  # microseconds


class Share:
    """A group beside those of the stack's machines, with the same weight as each of them."""

    def __init__(self, name: str, cores: float | None = None) -> None:
        """Make it; `cores` is the most that it gets."""
        self._unified = (CGROUPS / "cgroup.controllers").exists()
        self._root = CGROUPS if self._unified else CGROUPS / "cpu"
        self._group = self._root / name
        self._group.mkdir(exist_ok=True)
        if cores is not None:
            most = round(cores * PERIOD)
            limit = ("cpu.max", f"{most} {PERIOD}") if self._unified else ("cpu.cfs_quota_us", str(most))
            (self._group / limit[0]).write_text(limit[1])

    def join(self, group: Path | None = None) -> None:
        """Put this process there; its threads, and what it starts from then on, are there too."""
        ((group or self._group) / "cgroup.procs").write_text(str(os.getpid()))

    @contextmanager
    def joined(self) -> Generator[None]:
        """Be there for the block."""
        before = self._root / _mine(Path("/proc/self/cgroup").read_text()).lstrip("/")
        self.join()
        try:
            yield
        finally:
            self.join(before)

    def remove(self) -> None:
        """Take it away, empty as it is."""
        self._group.rmdir()


def _mine(cgroups: str) -> str:
    """The group of a process that is meant here, by its /proc cgroup."""
    lines = [line.split(":", 2) for line in cgroups.splitlines()]
    return next(path for _, controllers, path in lines if "cpu" in controllers.split(",") or len(lines) == 1)
