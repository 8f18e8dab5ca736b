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
        ("liability --from 2026-11-31", "--from: '2026-11-31' is not a day like 2026-11-01"),
        ("liability --to 20261101", "--to: '20261101' is not a day like 2026-11-01"),
        ("liability --from 1999-12-31", "--from: 1999-12-31 is not from 2000-01-01 to 2"),
        ("liability --to 9999-01-01", "--to: 9999-01-01 is not from 2000-01-01 to 2"),
        ("liability --from 2026-02-01 --to 2026-02-01", "--from: 2026-02-01 is not before --to, 2026-02-01"),
        ("liability --format xml", "--format: invalid choice: 'xml' (choose from"),
        ("liability --output /nowhere/at/all.csv", "--output: '/nowhere/at' is not a folder"),
        ("liability --output /", "--output: '/' is a folder"),
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


def test_help_says_what_liability_takes(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["point-service", "liability", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, error = capsys.readouterr()
    assert (ended.value.code, error) == (0, "")
    options = (
        "--from DATE",
        "--to DATE",
        "--format {table,csv,json}",
        "--output FILE",
        "--writer",
        "Asia/Seoul",
    )
    assert all(option in out for option in options)
