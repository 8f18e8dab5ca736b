"""What the programs that a document or a pipeline calls would not know."""

import shlex
from collections.abc import Collection
from pathlib import Path

import yaml
from harness import awscli
from point_infra import cli
from typer.main import get_command

ROOT = Path(__file__).resolve().parents[2]
PULUMI = {"login", "stack", "config", "up", "preview", "refresh", "destroy"}
STACK = {"init", "select", "output", "rm"}
KUBECTL = {
    "apply": {"-f"},
    "get": {"pts", "pdb", "secret", "externalsecret"},
    "wait": {"pts/points"},
    "delete": {"pts"},
    "rollout": {"status"},
    "exec": {"deploy/points"},
    "create": {"token"},
}
"""Verbs, and what each of them is given here."""


def unknown(calls: list[list[str]], outputs: Collection[str]) -> dict[str, list[str]]:
    """By call, what is wrong with it; `outputs` are those of the stack."""
    found = {shlex.join(call): _wrong(call[0], call[1:], outputs) for call in calls}
    return {call: wrong for call, wrong in found.items() if wrong}


def _wrong(program: str, words: list[str], outputs: Collection[str]) -> list[str]:
    if program == "aws":
        return awscli.wrong(words)
    if program == "pulumi":
        return _pulumi(words, outputs)
    if program == "make":
        targets = [w for w in words if not w.startswith("-") and "=" not in w]
        makefile = (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv")
        return [f"no target {t}" for t in targets if f"\n{t}:" not in makefile] or (
            [] if targets else ["no target"]
        )
    if program == "point-infra":
        known: Collection[str] = get_command(cli.app).commands  # pyright: ignore
        return [] if words[0] in known else [f"no command {words[0]}"]
    if program == "kubectl":
        plain = words[2:] if words[0] == "-n" else words
        return [] if set(plain[1:]) & KUBECTL.get(plain[0], set()) else [f"{plain[0]} of what?"]
    if program == "docker" and "build" in words:
        file = ROOT / words[words.index("-f") + 1]
        return (
            []
            if "ARG PROGRAM" in file.read_text() and any("PROGRAM=" in w for w in words)
            else [f"no {file}"]
        )
    return []


def _pulumi(words: list[str], outputs: Collection[str]) -> list[str]:
    plain = [w for w in words if not w.startswith("-")]
    if plain[0] not in PULUMI or (plain[0] == "stack" and plain[1] not in STACK):
        return [f"no command {plain}"]
    if plain[:2] == ["stack", "output"] and plain[2] not in outputs:
        return [f"no output {plain[2]}"]
    if plain[:2] == ["config", "set"]:
        name, _, place = plain[2].partition("[")
        keys = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
        if name not in keys:
            return [f"no key {name}"]
        if not (keys[name]["type"] == "array") == bool(place) == ("--path" in words):
            return [f"{name} is {keys[name]['type']}"]
    return []
