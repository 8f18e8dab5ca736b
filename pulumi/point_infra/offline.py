"""What a stack declares, without the engine, an account or network: for the cost table."""

import asyncio
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pulumi.runtime.mocks import MockMonitor

import pulumi
from point_infra.config.settings import Settings, load
from point_infra.cost.inventory import Declared
from point_infra.incluster.manifest import ROOT
from point_infra.stack import PointPlatform


def stack_config(stack: str, root: Path = ROOT, **changes: Any) -> dict[str, str]:
    """What the engine hands to the program: Pulumi.yaml's defaults, then the stack's file, then `changes`.

    A key that is changed to None is absent. Raises FileNotFoundError for a stack that has no file.
    """
    project = yaml.safe_load((root / "Pulumi.yaml").read_text())
    values = {k: v["default"] for k, v in project["config"].items() if "default" in v}
    own = yaml.safe_load((root / f"Pulumi.{stack}.yaml").read_text())["config"]
    values |= {k.split(":")[1]: v for k, v in own.items()} | changes
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items() if v is not None}


class _Unknown(pulumi.runtime.Mocks):
    """Every output stays unknown, as in the first preview."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return args.name, dict(
            args.inputs
        )  # without an id, a resource that is handed on is waited for for ever

    def call(
        self,
        args: pulumi.runtime.MockCallArgs,  # noqa: ARG002 - the SDK's signature
    ) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return {"names": []}, []  # no auto scaling group is there


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One for the whole process, which nobody may let go of before it is closed."""
    return asyncio.new_event_loop()


def run(monitor: MockMonitor, stack: str, program: Callable[[], object], *, preview: bool) -> None:
    """Run a program under Pulumi's mocks, to its end: what it leaves undone would turn up in what runs next."""
    try:
        asyncio.get_event_loop()
    except RuntimeError:  # a loop has run and ended in this thread; the SDK's mocks need one before they run
        asyncio.set_event_loop(_loop())
    pulumi.runtime.set_mocks(monitor.mocks, "point-platform", stack, preview, monitor=monitor)
    pulumi.runtime.test(program)()


def stacks(root: Path = ROOT) -> list[str]:
    """Names of the checkout's stacks."""
    return sorted(file.name.split(".")[1] for file in root.glob("Pulumi.*.yaml"))


def settings(stack: str, *, preview: bool = True, **changes: Any) -> Settings:
    """Checked settings of a stack, with some values changed. Raises ConfigError, FileNotFoundError."""
    values = stack_config(stack, **changes)
    return load(values.get, values.get("region"), preview=preview)


def declared(stack: str, **changes: Any) -> list[Declared]:
    """Every resource of the stack as it is in the checkout, but for `changes` of its config.

    Raises ConfigError, FileNotFoundError.
    """
    checked = settings(stack, **changes)
    found: list[Declared] = []

    def program() -> None:
        found.extend(PointPlatform(checked).inventory.resources)

    run(MockMonitor(_Unknown()), stack, program, preview=True)
    return found
