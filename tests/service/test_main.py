"""The command line: what it can't take is told in one line, before anything is asked."""

import pytest
from point_service.main import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("verify --after m-1", "'m-1' is not a place like members:m-1, grants:17 or uses:17"),
        ("verify --after orders:1", "'orders:1' is not a place"),
        ("verify --after grants:-1", "'-1' is no number of up to 19 digits"),
        (f"verify --after uses:{10**19}", "is no number of up to 19 digits"),
        ("verify --after", "expected one argument"),
        ("verify --metrics-file /nowhere/at/all.prom", "'/nowhere/at' is not a folder"),
        ("verify --after uses:1 --metrics-file x", "not allowed with argument --after"),
        ("verify --everything", "unrecognized arguments: --everything"),
        ("check", "invalid choice: 'check'"),
        ("", "required: COMMAND"),
    ],
)
def test_what_it_can_not_take_is_status_2_and_one_line(monkeypatch, capsys, arguments, said):
    monkeypatch.setattr("sys.argv", ["point-service", *arguments.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    out, error = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    [line] = error.splitlines()
    assert line.startswith("point-service")
    assert said in line


def test_help_says_what_verify_takes(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["point-service", "verify", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, error = capsys.readouterr()
    assert (ended.value.code, error) == (0, "")
    assert all(option in out for option in ("--after PLACE", "--writer", "--metrics-file"))
