"""What a machine lacks is said in one line, before anything is changed."""

from collections.abc import Callable

import pytest
from point_local.build import packages, tools
from point_local.commands import preflight
from point_local.programs.command import LocalError


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has everything."""
    for check in ("_system", "_memory", "_disk", "_ports", "_isolation", "_registries"):
        monkeypatch.setattr(preflight, check, lambda: None)


@pytest.mark.usefixtures("able")
def test_a_machine_that_has_everything_passes() -> None:
    preflight.require()


@pytest.mark.usefixtures("able")
def test_every_lack_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_memory", lambda: "no memory")
    monkeypatch.setattr(preflight, "_disk", lambda: "no disk")
    with pytest.raises(LocalError) as raised:
        preflight.require()
    assert str(raised.value).splitlines()[1:] == ["- no memory", "- no disk"]


class _Usage:
    free = 1024**3
    available = 1024**3


@pytest.mark.parametrize(
    ("arrange", "check", "said"),
    [
        (lambda m: m.setattr(preflight.os, "geteuid", lambda: 1000), "_system", "needs root"),
        (lambda m: m.setattr(preflight.platform, "machine", lambda: "aarch64"), "_system", "x86_64"),
        (lambda m: m.setattr(preflight.shutil, "disk_usage", lambda _: _Usage), "_disk", "GiB are needed"),
        (lambda m: m.setattr(preflight.edge, "ports_taken", lambda: [443]), "_ports", "port 443"),
    ],
    ids=["root", "architecture", "disk", "port"],
)
def test_a_lack_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, arrange: Callable[[pytest.MonkeyPatch], None], check: str, said: str
) -> None:
    arrange(monkeypatch)
    problem = getattr(preflight, check)()
    assert said in problem
    assert "\n" not in problem


def test_little_memory_is_said_when_nothing_runs_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.cluster, "running", lambda: False)
    monkeypatch.setattr(preflight.psutil, "virtual_memory", lambda: _Usage)
    assert "free memory" in (preflight._memory() or "")


def test_a_registry_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.tools, "ready", lambda: False)
    monkeypatch.setattr(preflight.tools, "require_go", lambda: None)
    monkeypatch.setattr(preflight, "succeeds", lambda *_, **__: False)
    assert "Go module proxy" in (preflight._registries() or "")


def test_an_old_go_is_said_with_both_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "run", lambda *_, **__: "go1.20.1\n")
    with pytest.raises(LocalError, match=r"Go 1\.20\.1 is too old.*1\.26"):
        tools.require_go()


def test_only_missing_packages_are_named() -> None:
    assert packages.missing({"sh": "dash", "no-such-program": "b", "/no/such/file": "a"}) == ["a", "b"]


def test_without_apt_the_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda *_, **__: None)
    with pytest.raises(LocalError, match="install by hand: a-package"):
        packages.ensure({"no-such-program": "a-package"})
