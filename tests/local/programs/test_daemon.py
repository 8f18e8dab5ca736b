"""A program in the background keeps nothing of the one that started it."""

import fcntl
import os
from pathlib import Path

import psutil
from point_local.programs.daemon import detach


def test_a_lock_of_the_caller_ends_with_the_caller(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with lock.open("w") as held:
        os.set_inheritable(held.fileno(), True)  # as a lock that a shell took is
        fcntl.flock(held, fcntl.LOCK_EX)
        program = psutil.Process(detach(["sleep", "60"], tmp_path / "log"))
    try:
        with lock.open("w") as again:
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        program.kill()
        program.wait(10)
