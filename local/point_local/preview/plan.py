"""`make preview`: what `pulumi up` would make, by the real engine, without an account and without network."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from point_local.preview import pulumi_cli
from point_local.preview.standin.engine import Engine, providers
from point_local.programs import paths
from point_local.programs.command import LocalError
from point_local.programs.progress import Steps

STACKS = tuple(sorted(file.name.split(".")[1] for file in paths.ROOT.glob("Pulumi.*.yaml")))
LINKED = ("pulumi", "operator", "crds")
NOT_PROVED = """\
What this proves: the program runs, its config is valid, the real engine orders it, every policy holds.
What it does not: the providers are stand-ins, so nothing here asked AWS or Kubernetes; quotas, prices, names
that are taken, and values that AWS refuses show only with credentials (`pulumi preview`)."""
_PACK = "from point_infra.policy.pack import main\n\nmain()\n"


@dataclass(frozen=True)
class Preview:
    """What one stack's preview printed, and how many resources each component declares."""

    stack: str
    status: int
    text: str
    counts: dict[str, int]


def show(stacks: Sequence[str], base: str | None = None, region: str | None = None) -> None:
    """Preview the stacks, all at once, and print everything; raises LocalError when one fails.

    `region` is where to, in place of what a stack says. With `base`, a git revision, that one is applied to the
    stand-ins first, so that the plan is what changed since.
    """
    steps = Steps("preview")
    with steps.step("Pulumi CLI") as step:
        cli = pulumi_cli.ensure(step)
    os.environ.pop("AWS_ENDPOINT_URL", None)  # nothing is made, not even in somebody's moto
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as home, providers() as ports, ThreadPoolExecutor() as pool:
        running = [pool.submit(preview, cli, s, Path(home) / s, ports, base, region) for s in stacks]
        found = [one.result() for one in running]
    steps.finish()
    for one in found:
        against = f" against {base}" if base else ""
        print(f"\n===== {one.stack}{against}: {sum(one.counts.values())} to create =====\n{one.text}")
        for component, count in one.counts.items():
            print(f"  {component:<28}{count:>4}")
    print(f"\n{NOT_PROVED}\n({time.monotonic() - started:.1f} s)")
    failed = [one.stack for one in found if one.status != 0]
    if failed:
        raise LocalError(f"the preview of {', '.join(failed)} failed: see above")


def preview(
    cli: Path,
    stack: str,
    home: Path,
    ports: dict[str, int],
    base: str | None = None,
    region: str | None = None,
) -> Preview:
    """Preview one stack: as the first `up` would find it, or as one that stands at `base`."""
    project = checkout(home / "project", paths.ROOT)
    if region:
        file = project / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(file.read_text())
        document["config"]["aws:region"] = region
        file.write_text(yaml.safe_dump(document))
    engine = Engine(cli, project, home, ports)
    engine.run("stack", "init", stack)
    if base:
        apply(cli, stack, home, ports, base)
    events = home / "events.json"
    done = engine.run(
        *("preview", "--stack", stack, "--policy-pack", str(policy_pack(home))),
        *("--event-log", str(events)),
        check=False,
    )
    return Preview(stack, done.status, done.text, count(events))


def apply(cli: Path, stack: str, home: Path, ports: dict[str, int], revision: str) -> None:
    """Make what a git revision declares, in the stand-ins' state; nothing when it has no such stack yet."""
    source = home / "revision"
    archive = subprocess.run(
        ["git", "-C", str(paths.ROOT), "archive", "--format=tar", revision, *LINKED, "Pulumi*.yaml"],
        capture_output=True,
    )
    if archive.returncode != 0:
        raise LocalError(f"git has no infrastructure at {revision}: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(source, filter="data")
    if not (source / f"Pulumi.{stack}.yaml").is_file():
        return
    project = checkout(home / "base", source)
    # One state, so one salt; and an update takes no example digest.
    head = yaml.safe_load((home / "project" / f"Pulumi.{stack}.yaml").read_text())
    for folder in (project, home / "project"):
        file = folder / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(file.read_text()) | {"encryptionsalt": head["encryptionsalt"]}
        file.write_text(yaml.safe_dump(document).replace("sha256:" + "0" * 64, "sha256:" + "1" * 64))
    Engine(cli, project, home, ports).run("up", "--yes", "--skip-preview", "--stack", stack)


def checkout(folder: Path, source: Path = paths.ROOT, *, linked: bool = True) -> Path:
    """A project folder that links to the program in `source`, or has a copy of it, with stack files of its own."""
    folder.mkdir(parents=True)
    for name in LINKED:
        if linked:
            (folder / name).symlink_to(source / name)
        else:
            shutil.copytree(source / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in source.glob("Pulumi*.yaml"):  # which the CLI writes into
        shutil.copy(file, folder)
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
