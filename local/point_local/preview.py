"""`make preview`: what `pulumi up` would make, by the real engine, without an account and without network."""

import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from point_local import paths, pulumi_cli
from point_local.command import LocalError
from point_local.progress import Steps
from point_local.standin.engine import Engine, providers

STACKS = ("prod", "dev")
NOT_PROVED = """\
What this proves: the program runs, its config is valid, the real engine orders it, every policy holds.
What it does not: the providers are stand-ins, so nothing here asked AWS or Kubernetes; quotas, prices, names
that are taken, and values that AWS refuses show only with credentials (`pulumi preview`)."""
_PACK = "from point_infra.pack import main\n\nmain()\n"


@dataclass(frozen=True)
class Preview:
    """What one stack's preview printed, and how many resources each component declares."""

    stack: str
    status: int
    text: str
    counts: dict[str, int]


def show(stacks: Sequence[str]) -> None:
    """Preview the stacks, both at once, and print everything; raises LocalError when one fails."""
    steps = Steps("preview")
    with steps.step("Pulumi CLI") as step:
        cli = pulumi_cli.ensure(step)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as home, providers() as ports, ThreadPoolExecutor() as pool:
        found = list(pool.map(partial(_preview_in, cli, Path(home), ports), stacks))
    steps.finish()
    for one in found:
        print(f"\n===== {one.stack}: {sum(one.counts.values())} resources =====\n{one.text}")
        for component, count in one.counts.items():
            print(f"  {component:<28}{count:>4}")
    print(f"\n{NOT_PROVED}\n({time.monotonic() - started:.1f} s)")
    failed = [one.stack for one in found if one.status != 0]
    if failed:
        raise LocalError(f"the preview of {', '.join(failed)} failed: see above")


def preview(cli: Path, stack: str, home: Path, ports: dict[str, int]) -> Preview:
    """Preview one stack as the first `up` would find it: nothing is there."""
    project = checkout(home / "project")
    engine = Engine(cli, project, home, ports)
    config = project / f"Pulumi.{stack}.yaml"
    engine.run("stack", "init", stack)
    events = home / "events.json"
    pack = policy_pack(home)
    done = engine.run(
        *("preview", "--stack", stack, "--config-file", str(config), "--policy-pack", str(pack)),
        *("--event-log", str(events)),
        check=False,
    )
    return Preview(stack, done.status, done.text, count(events))


def _preview_in(cli: Path, home: Path, ports: dict[str, int], stack: str) -> Preview:
    return preview(cli, stack, home / stack, ports)


def checkout(folder: Path) -> Path:
    """A project folder that links to the checkout, with stack files of its own: the CLI writes into them."""
    folder.mkdir(parents=True)
    for linked in ("pulumi", "operator", "crds"):
        (folder / linked).symlink_to(paths.ROOT / linked)
    for copied in ("Pulumi.yaml", *(f"Pulumi.{s}.yaml" for s in STACKS)):
        shutil.copy(paths.ROOT / copied, folder)
    return folder


def policy_pack(home: Path) -> Path:
    """The rules as an executable for --policy-pack."""
    pack = home / "policy"
    # -u: the SDK writes its port without a flush.
    pack.write_text(f"#!{sys.executable} -u\n{_PACK}")
    pack.chmod(0o755)
    return pack


def count(events: Path) -> dict[str, int]:
    """Resources per component, from the engine's own events."""
    counts: Counter[str] = Counter()
    if not events.exists():
        return {}
    for line in events.read_text().splitlines():
        metadata = json.loads(line).get("resourcePreEvent", {}).get("metadata", {})
        if metadata.get("op") == "create":
            counts[_component(metadata["urn"])] += 1
    return dict(sorted(counts.items()))


def _component(urn: str) -> str:
    """The innermost of our own components that a resource belongs to."""
    own = [t for t in urn.split("::")[2].split("$") if t.startswith("point:index:")]
    return own[-1].removeprefix("point:index:") if own else "(stack, providers)"
