"""The command line: `point-service serve`, `migrate` and their helpers."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from point_service.http import openapi
from point_service.settings import SettingError, Settings, load, shown
from point_service.telemetry import logs

if TYPE_CHECKING:
    from point_service.ledger.verify import Place

COMMANDS = {
    "serve": "answer requests until told to stop",
    "migrate": "bring the database's schema and the application user up to date",
    "expire": "write the entries of what has expired, and forget old answers, once",
    "verify": "check every invariant of the ledger; exit status 1 when one does not hold",
    "forget-answers": "let Redis forget every answer, after the database was restored to an earlier moment",
    "config": "print every variable with the value in force; secrets are files and not shown",
    "openapi": "print the API's description (OpenAPI, YAML)",
}


def main() -> None:
    """Run one command. Exit status 2: the configuration is wrong; 1: the command failed."""
    arguments = _parser().parse_args()
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


def _place(text: str) -> "Place":
    from point_service.ledger.verify import place_of

    try:
        return place_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _metrics_file(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir():  # told now and not after the check
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
        case "forget-answers":
            from point_service.maintenance import forget

            asyncio.run(forget(settings))
        case _:
            from point_service.maintenance import check

            return asyncio.run(check(settings, arguments.metrics_file, arguments.after, arguments.writer))
    return 0
