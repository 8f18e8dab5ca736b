"""Run other programs: their output goes to a log file, their failure becomes one error that says where to look."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from point_local.programs import paths


class LocalError(Exception):
    """Something a person can act on; its text is the whole message (no traceback is shown)."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with the built programs first on PATH and the cluster's kubeconfig."""
    path = os.pathsep.join([str(paths.BIN), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return {**os.environ, "PATH": path, "KUBECONFIG": str(paths.KUBECONFIG), **(extra or {})}


def run(
    args: Sequence[str | Path],
    *,
    stdin: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 600,
    check: bool = True,
    quiet: bool = False,
) -> str:
    """Run a program to its end and return what it printed on standard output.

    The command is noted in logs/commands.log, with what it said if it failed, unless it is `quiet`.
    Raises LocalError with the last lines of standard error when it exits with anything but 0 (unless
    `check` is off) or takes over `timeout` seconds.
    """
    words = [str(a) for a in args]
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(
            words,
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            env=environment(env),
            cwd=cwd,
            timeout=timeout,
        )
    except FileNotFoundError as error:
        raise LocalError(f"{words[0]} is not installed (looked in {paths.BIN} and PATH)") from error
    except subprocess.TimeoutExpired as error:
        raise LocalError(f"{_short(words)} did not end within {timeout:.0f} s") from error
    err = done.stderr.decode(errors="replace")
    out = done.stdout.decode(errors="replace")
    log = paths.LOGS / "commands.log"
    if not quiet:
        _log(log, words, done.returncode, err)
    if check and done.returncode != 0:
        tail = "\n".join((err.strip() or out.strip()).splitlines()[-8:])
        raise LocalError(f"{_short(words)} failed with status {done.returncode}:\n{tail}\n(log: {log})")
    return out


def succeeds(args: Sequence[str | Path], **kwargs: object) -> bool:
    """Whether a program exits with status 0."""
    try:
        run(args, **kwargs)  # pyright: ignore[reportArgumentType]
    except LocalError:
        return False
    return True


def kubectl(*args: str | Path, stdin: str | None = None, timeout: float = 600, check: bool = True) -> str:
    """Run kubectl on the local cluster."""
    return run(["kubectl", *args], stdin=stdin, timeout=timeout, check=check)


def wait(what: str, condition: Callable[[], object], *, seconds: float, every: float = 0.2) -> None:
    """Return once `condition()` is true; raise LocalError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise LocalError(f"{what}: not so after {seconds:.0f} s (logs: {paths.LOGS})")
        time.sleep(every)


def wait_established(kubectl: Callable[..., str], *crds: str, seconds: float = 60) -> None:
    """Return once the API server serves these CRDs (names after `crd`, or files after `-f`).

    `kubectl` runs it with its arguments. Not by `kubectl wait`: for the moment in which a new CRD has no conditions
    that ends with an error (https://github.com/kubernetes/kubernetes/issues/66439).
    """

    def established() -> bool:
        said = json.loads(kubectl("get", *crds, "-o", "json"))
        return all(
            any(
                c["type"] == "Established" and c["status"] == "True"
                for c in crd["status"]["conditions"] or ()
            )
            for crd in said.get("items", [said])
        )

    wait(f"{' '.join(crds)} established", established, seconds=seconds)


def _short(words: Iterable[str]) -> str:
    text = " ".join(words)
    return text if len(text) <= 120 else text[:117] + "..."


def _log(log: Path, words: Sequence[str], status: int, err: str) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as f:
        f.write(f"{time.strftime('%H:%M:%S')} [{status}] {_short(words)}\n")
        if status != 0:
            f.write(err)
