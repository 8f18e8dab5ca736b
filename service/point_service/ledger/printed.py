"""How `liability` is printed: a table for people, CSV and JSON for programs."""

import csv
import io
from collections.abc import Sequence

import msgspec

from point_service.ledger.liability import Movement, Outstanding, Statement

LINES = ("opening", "granted", "restored", "regranted", "used", "cancelled", "expired", "closing")
COLUMNS = ("as_of", "from", "to", "part", "row", "normal", "manual", "total")
LABEL, NUMBER = 28, 16  # characters


def as_json(statement: Statement) -> str:
    """Return everything, with what does not tie."""
    return msgspec.json.format(msgspec.json.encode(statement), indent=2).decode() + "\n"


def as_csv(statement: Statement) -> str:
    """Return a line for each number, each with its moments."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    at, movement = statement.as_of.isoformat(), statement.movement
    for row in (*statement.outstanding, statement.total):
        lines.writerow((at, "", "", "outstanding", row.expires, row.normal, row.manual, row.total))
    between = (movement.since.isoformat(), movement.until.isoformat())
    for name, points in _points(movement):
        lines.writerow((at, *between, "movement", name, "", "", points))
    return text.getvalue()


def as_table(statement: Statement) -> str:
    """Return two tables."""
    movement = statement.movement
    return "\n".join(
        [
            f"Outstanding points at {statement.as_of:%Y-%m-%d %H:%M:%S}, by month of expiry (Asia/Seoul)",
            _line("", ("NORMAL", "MANUAL", "total")),
            *(_row(row) for row in statement.outstanding),
            _row(statement.total),
            "",
            f"Movement from {movement.since:%Y-%m-%d %H:%M:%S} to {movement.until:%Y-%m-%d %H:%M:%S} (Asia/Seoul)",
            *(_line(name, (f"{points:,}",)) for name, points in _points(movement)),
            "",
        ]
    )


FORMATS = {"table": as_table, "csv": as_csv, "json": as_json}


def _points(movement: Movement) -> list[tuple[str, int]]:
    return [(name, getattr(movement, name)) for name in LINES]


def _row(row: Outstanding) -> str:
    name = "past expiry, no entry yet" if row.expires == "past" else row.expires
    return _line(name, [f"{points:,}" for points in (row.normal, row.manual, row.total)])


def _line(label: str, numbers: Sequence[str]) -> str:
    return label.ljust(LABEL) + "".join(number.rjust(NUMBER) for number in numbers)
