"""The programs of Vitess, for the experiment of `make shards`: no part of the cluster."""

import hashlib
from pathlib import Path

from point_local.build import gobuild
from point_local.programs import paths
from point_local.programs.progress import Step

_MODULE = paths.ROOT / "local" / "vitess"
_COMMANDS = "vitess.io/vitess/go/cmd"
PROGRAMS = ("vtgate", "vttablet", "vtctldclient")
BIN = paths.CACHE / "vitess"


def ready() -> bool:
    """Whether the cache has every program, built from this checkout's module files."""
    stamp = BIN / ".built-from"
    return stamp.exists() and stamp.read_text() == _inputs() and all((BIN / p).exists() for p in PROGRAMS)


def ensure(step: Step) -> Path:
    """Return the folder with the programs, building them first when they are missing (some ten minutes on 2 cores)."""
    if not ready():
        BIN.mkdir(parents=True, exist_ok=True)
        step.tell("downloading Go modules")
        programs = [f"{_COMMANDS}/{program}" for program in PROGRAMS]
        gobuild.build(_MODULE, programs, f"{BIN}/", "", step, 0, gobuild.count(_MODULE, programs))
        (BIN / ".built-from").write_text(_inputs())
    return BIN


def _inputs() -> str:
    return hashlib.sha256(
        b"".join((_MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    ).hexdigest()
