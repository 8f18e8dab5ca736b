"""Programs that outlive the command that started them, each known by a file with its number."""

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import psutil

from point_local.programs import paths
from point_local.programs.command import LocalError, environment


class Daemon:
    """One background program. Its start time in the file tells it from another that got its number."""

    def __init__(self, pid_file: Path) -> None:
        self._file = pid_file

    def process(self) -> psutil.Process | None:
        """The running program, None when it does not run."""
        try:
            pid, created = self._file.read_text().split()
            found = psutil.Process(int(pid))
            same = abs(found.create_time() - float(created)) < 1 and found.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, psutil.Error):
            return None
        return found if same else None

    def start(self, args: Sequence[str | Path], log: Path) -> None:
        """Start the program, unless it runs; what it prints goes to `log`."""
        if self.process() is None:
            pid = detach(args, log)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(f"{pid} {psutil.Process(pid).create_time()}")

    def stop(self) -> None:
        """End the program, at the latest after 10 s."""
        running = self.process()
        if running is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                running.terminate()
                try:
                    running.wait(10)
                except psutil.TimeoutExpired:
                    running.kill()
        self._file.unlink(missing_ok=True)


def detach(args: Sequence[str | Path], log: Path) -> int:
    """Start a program in a session of its own; its number. Its output is added to `log`."""
    words = [str(a) for a in args]
    env = environment()
    program = shutil.which(words[0], path=env["PATH"])
    if program is None:
        raise LocalError(f"{words[0]} is not installed (looked in {paths.BIN} and PATH)")
    log.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        # What the caller has open, a lock above all, would else stay open as long as the program runs.
        *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable()),
    ]
    return os.posix_spawn(program, words, env, file_actions=actions, setsid=True)


def _inheritable() -> list[int]:
    """Files above standard error that a new program would get."""
    found: list[int] = []
    for fd in (int(name) for name in os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # the one that listed them is closed already
            if fd > 2 and os.get_inheritable(fd):
                found.append(fd)
    return found
