"""Run the real Pulumi engine with the stand-ins attached: no account, no plugin, nothing but loopback."""

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from point_local.preview.standin.provider import PACKAGES, start
from point_local.programs import paths
from point_local.programs.command import LocalError

PASSPHRASE = "stand-in"  # noqa: S105 - of a state that holds no real secret
_FAKE_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "ap-northeast-2",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Done:
    """How a command ended, with all that it printed."""

    status: int
    text: str


class Engine:
    """A project, its state in a folder of its own, and the CLI to work on it."""

    def __init__(self, cli: Path, project: Path, home: Path, providers: dict[str, int]) -> None:
        self._cli, self.project, self.home = cli, project, home
        self._providers = ",".join(f"{name}:{port}" for name, port in providers.items())
        (home / "state").mkdir(parents=True, exist_ok=True)

    def run(self, *args: str, check: bool = True, seconds: float = 240) -> Done:
        """Run the CLI once, with a language host of its own; raises LocalError unless `check` is off."""
        host = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "point_local.preview.standin.language"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**self._environment(), "PYTHONPATH": str(paths.ROOT / "local")},
        )
        with host:
            assert host.stdin is not None  # noqa: S101 - a pipe
            assert host.stdout is not None  # noqa: S101 - a pipe
            port = host.stdout.readline().strip()
            env = {**self._environment(), "PULUMI_DEBUG_LANGUAGES": f"python:{port}"}
            done = subprocess.run(
                [str(self._cli), "--non-interactive", "--color", "never", *args],
                cwd=self.project,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=seconds,
            )
            host.stdin.close()
            host.stdout.read()
        if check and done.returncode != 0:
            raise LocalError(f"pulumi {args[0]} failed with status {done.returncode}:\n{done.stdout}")
        return Done(done.returncode, done.stdout)

    def _environment(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if k in _INHERITED}
        return {
            **own,
            **_FAKE_ACCOUNT,
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": (self.home / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # has --event-log
            "PULUMI_DEBUG_PROVIDERS": self._providers,
        }


@contextmanager
def providers(
    packages: Sequence[str] = PACKAGES, kubeconfig: dict[str, Any] | None = None
) -> Generator[dict[str, int], None, None]:
    """Serve the stand-ins from a thread of this process; gives their ports.

    `kubeconfig` is what a cluster of theirs is reached by, when there is one.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="stand-ins", daemon=True)
    thread.start()

    async def serve() -> dict[str, tuple[object, int]]:
        return {p: await start(p, kubeconfig=kubeconfig) for p in packages}

    servers = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    try:
        yield {name: port for name, (_, port) in servers.items()}
    finally:

        async def stop() -> None:
            for server, _ in servers.values():
                await server.stop(None)  # pyright: ignore

        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def find_cli() -> Path | None:
    """The CLI of PATH, else the one that this project built."""
    own = paths.BIN / "pulumi"
    found = shutil.which("pulumi")
    return Path(found) if found else own if own.exists() else None
