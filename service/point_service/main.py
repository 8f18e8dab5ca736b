"""The command line: `point-service serve`, `migrate` and their helpers."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from point_service.http import openapi
from point_service.settings import SettingError, Settings, load, shown
from point_service.telemetry import logs

if TYPE_CHECKING:
    from point_service.ledger.verify import Place

LEAST_ARCHIVE_DAYS = (
    30  # a slip of the hand must not take from this month's orders that they can be cancelled
)
MOST_ARCHIVE_DAYS = 36_500

COMMANDS = {
    "serve": "answer requests until told to stop",
    "migrate": "bring the database's schema and the application user up to date",
    "expire": "write the entries of what has expired, and forget old answers, once",
    "verify": "check every invariant of the ledger; exit status 1 when one does not hold",
    "liability": "print what is owed to the members and how it moved; exit status 1 when the books do not tie",
    "archive": "move what is closed and old out of the live tables; exit status 1 when something of it failed",
    "forget-answers": "let Redis forget every answer, after the database was restored to an earlier moment",
    "config": "print every variable with the value in force; secrets are files and not shown",
    "openapi": "print the API's description (OpenAPI, YAML)",
}


def main() -> None:
    """Run one command. Exit status 2: the configuration is wrong; 1: the command failed."""
    arguments = _parser().parse_args()
    if arguments.command == "liability":
        _choose_days(arguments)
    if arguments.command == "openapi":
        print(openapi.text(), end="")
        return
    try:
        settings = load()
        key = settings.log_key_file.read_bytes().strip() if settings.log_key_file is not None else None
        logs.configure(settings.log_level, zone=settings.zone, pod=settings.pod_name, key=key)
        sys.exit(_run(arguments, settings))
    except SettingError as error:
        print(f"point-service: {error}", file=sys.stderr)
        sys.exit(2)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    except Exception as error:
        logging.getLogger(__name__).error(
            "%s failed: %s", arguments.command, logs.told(error), exc_info=logs.debugging()
        )
        sys.exit(1)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="point-service",
        description="Loyalty points that are never lost and never spent twice.",
        epilog="Configuration: environment variables, of which only POINT_DATABASE_HOST must be set;"
        " `point-service config` prints all of them.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == "verify":
            _add_verify_options(command)
        elif name == "liability":
            _add_liability_options(command)
        elif name == "archive":
            _add_archive_options(command)
    return parser


def _add_verify_options(command: argparse.ArgumentParser) -> None:
    either = command.add_mutually_exclusive_group()
    either.add_argument(
        "--after",
        type=_place,
        metavar="PLACE",
        help="go on where another check stopped; it said where, for example members:m-1",
    )
    command.add_argument(
        "--writer", action="store_true", help="read the writer, also where there is a reader"
    )
    either.add_argument(
        "--metrics-file",
        type=_metrics_file,
        help="write the result there, for Prometheus' textfile collector; only of a whole check",
    )


def _add_liability_options(command: argparse.ArgumentParser) -> None:
    command.description = f"{COMMANDS['liability']}. Days are those of Asia/Seoul."
    command.add_argument(
        "--from",
        dest="since",
        type=_day,
        metavar="DATE",
        help="the first day of the movement; by default the first of the month of the day before --to, or before"
        " today: on the 1st the whole month that has ended, on other days the month so far",
    )
    command.add_argument(
        "--to",
        dest="until",
        type=_day,
        metavar="DATE",
        help="the day before which the movement ends, tomorrow at the latest; by default it goes on until now",
    )
    command.add_argument(
        "--format", choices=("table", "csv", "json"), default="table", help="table by default"
    )
    command.add_argument(
        "--output", type=_file, metavar="FILE", help="write it there and not to standard output"
    )
    command.add_argument(
        "--writer", action="store_true", help="read the writer, also where there is a reader"
    )
    command.set_defaults(refuse=command.error)


def _add_archive_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--older-than",
        type=_count(LEAST_ARCHIVE_DAYS, MOST_ARCHIVE_DAYS),
        required=True,
        metavar="DAYS",
        help="grants of which nothing is left and nothing moved for so long, from"
        f" {LEAST_ARCHIVE_DAYS} days on; what was used of them can't be given back any more",
    )
    command.add_argument(
        "--batch",
        type=_count(100, 1_000_000),
        default=500,
        metavar="ROWS",
        help="the most that move in one transaction, for which a member may wait; 500 by default",
    )


def _count(least: int, most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and least <= int(text[:10]) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return int(text)

    return count


def _choose_days(arguments: argparse.Namespace) -> None:
    from point_service.ledger.liability import SEOUL, period

    try:
        today = datetime.now(UTC).astimezone(SEOUL).date()
        arguments.period = period(arguments.since, arguments.until, today)
    except ValueError as error:
        arguments.refuse(str(error))


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:  # there are other ISO forms
        raise argparse.ArgumentTypeError(f"{text!r} is not a day like 2026-11-01")
    return day


def _file(text: str) -> Path:
    path = _metrics_file(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder")
    return path


def _place(text: str) -> "Place":
    from point_service.ledger.verify import place_of

    try:
        return place_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _metrics_file(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir():  # told now and not after the work
        raise argparse.ArgumentTypeError(f"{str(path.parent)!r} is not a folder")
    return path


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run a command and return the exit status. Each imports what it needs: serving needs no SQLAlchemy."""
    match arguments.command:
        case "serve":
            from point_service.http.serve import serve

            serve(settings)
        case "migrate":
            from point_service.mysql.migrate import migrate

            migrate(settings.database)
        case "config":
            print(shown())
        case "expire":
            from point_service.maintenance import expire

            asyncio.run(expire(settings))
        case "archive":
            from point_service.maintenance import move

            return asyncio.run(move(settings, arguments.older_than, arguments.batch))
        case "forget-answers":
            from point_service.maintenance import forget

            asyncio.run(forget(settings))
        case "liability":
            from point_service.maintenance import owe

            asked, form = arguments.period, arguments.format
            return asyncio.run(owe(settings, asked, form, arguments.output, arguments.writer))
        case _:
            from point_service.maintenance import check

            return asyncio.run(check(settings, arguments.metrics_file, arguments.after, arguments.writer))
    return 0
