"""Walks a shell script with bash itself: what it would call is written down in place of being called."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

CALLED = (
    "aws",
    "curl",
    "docker",
    "gh",
    "glab",
    "kubectl",
    "make",
    "openssl",
    "pulumi",
    "sleep",
    "point-infra",
)
"""Programs that reach out of the machine, build something or take time; others are the system's own."""

_RECORDER = """#!/bin/bash
[ -p /dev/stdin ] && cat > /dev/null
printf '%s\\0' $(($# + 1)) "${0##*/}" "$@" >> "$CALLS"
"""


def walk(script: str, answers: Mapping[str, str], home: Path, **environment: str) -> list[list[str]]:
    """Every call of a script, with its arguments as bash makes them.

    `answers` is what a call prints, by a pattern that is found in its words. Raises AssertionError when bash refuses
    the script, misses a variable, or a command of it fails.
    """
    programs, calls = home / "programs", home / "calls"
    programs.mkdir(parents=True, exist_ok=True)
    calls.write_bytes(b"")
    for name in CALLED:
        lines = [
            f"[[ \"${{0##*/}} $*\" =~ {_quoted(pattern)} ]] && {{ cat <<'ANSWER'\n{text}\nANSWER\nexit 0; }}"
            for pattern, text in answers.items()
        ]
        program = programs / name
        program.write_text("\n".join([_RECORDER, *lines, "echo x", ""]))
        program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-xeuo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        cwd=home,
        env={"PATH": f"{programs}:/usr/bin:/bin", "CALLS": str(calls), "HOME": str(home), **environment},
    )
    assert done.returncode == 0, done.stderr[-1500:]
    words = calls.read_text().split("\0")[:-1]
    found: list[list[str]] = []
    while words:
        count = int(words[0])
        found.append(words[1 : count + 1])
        words = words[count + 1 :]
    return found


def blocks(document: str) -> list[str]:
    """The indented blocks of a Markdown text, without their indentation."""
    indented = re.findall(r"(?:(?<=\n\n)|^)((?:    .*\n|\n(?=    ))+)", document)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in indented]


def spans(document: str, program: str) -> list[str]:
    """Commands of a program within the sentences of a Markdown text; what is <to be filled in> is x."""
    prose = re.sub(r"^    .*\n", "", document, flags=re.MULTILINE)
    found = re.findall(rf"`({program} [^`]+)`", prose)
    return [re.sub(r"<[^>]*>", "x", " ".join(command.split())) for command in found]


def _quoted(pattern: str) -> str:
    return re.sub(r"([\s'\"()&|;<>])", r"\\\1", pattern)
