"""Commands: their failures are one message, their handles print what scripts need."""

import json
import sys
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from point_local import cli
from point_local.programs import command, paths
from point_local.programs.command import LocalError
from point_local.stack import issuer


@pytest.fixture(autouse=True)
def own_logs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paths, "LOGS", tmp_path / "logs")
    monkeypatch.setattr(issuer, "_KEY", tmp_path / "key.json")


def test_a_failing_program_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"status 3:\nit broke") as raised:
        command.run(["sh", "-c", "echo it broke >&2; exit 3"])
    assert str(tmp_path / "logs" / "commands.log") in str(raised.value)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(LocalError, match="no-such-program is not installed"):
        command.run(["no-such-program"])


def test_a_wait_that_ends_badly_names_what_was_waited_for() -> None:
    with pytest.raises(LocalError, match="the moon is blue"):
        command.wait("the moon is blue", lambda: False, seconds=0.05, every=0.01)


def test_what_goes_in_on_standard_input_is_in_no_log(tmp_path: Path) -> None:
    command.run(["cat"], stdin="a-password")
    assert "a-password" not in (tmp_path / "logs" / "commands.log").read_text()


def invoke(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["point-local", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_a_token_is_the_members(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(monkeypatch, "token", "m-1", "--role", "service") == 0
    keys = KeySet.import_key_set(json.loads(issuer.jwks()))
    claims = jwt.decode(capsys.readouterr().out.strip(), keys, algorithms=["RS256"]).claims
    assert (claims["sub"], claims["role"], claims["aud"]) == ("m-1", "service", ["points"])


def test_a_members_own_token_names_no_role() -> None:
    keys = KeySet.import_key_set(json.loads(issuer.jwks()))
    assert "role" not in jwt.decode(issuer.token("m-1"), keys, algorithms=["RS256"]).claims


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["token", "m-1", "--role", "king"], "allowed are member, service and admin"),
        (["token", "x" * 256], "MEMBER"),
    ],
    ids=["role", "member"],
)
def test_a_wrong_argument_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert invoke(monkeypatch, *words) == 1
    err = capsys.readouterr().err
    assert said in err.replace("\n", " ")
    assert "Traceback" not in err


def test_help_lists_the_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(monkeypatch, "--help") == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("up", "down", "demo", "status", "token", "serve"))


def test_a_crd_without_conditions_yet_is_waited_for() -> None:
    new, starting, served = (
        {"status": {"conditions": conditions}}
        for conditions in (None, [_established("False")], [_established("True")])
    )
    answers = iter([new, starting, {"items": [served, new]}, {"items": [served, served]}])
    command.wait_established(lambda *_: json.dumps(next(answers)), "crd", seconds=10)
    assert next(answers, None) is None


def _established(status: str) -> dict[str, str]:
    return {"type": "Established", "status": status}
