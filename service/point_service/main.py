"""The command line: `point-service serve`, `migrate` and their helpers."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from point_service.http import openapi
from point_service.settings import SettingError, Settings, load, shown
from point_service.telemetry import logs

COMMANDS = {
    "serve": "answer requests until told to stop",
    "migrate": "bring the database's schema and the application user up to date",
    "expire": "write the entries of what has expired, and forget old answers, once",
    "verify": "check every invariant of the ledger; exit status 1 when one does not hold",
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
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        logging.getLogger(__name__).error(
            "%s failed: %s", arguments.command, logs.told(error), exc_info=logs.debugging()
        )
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="point-service",
        description="Loyalty points that are never lost and never spent twice.",
        epilog="Configuration: environment variables, of which only POINT_DATABASE_HOST must be set;"
        " `point-service config` prints all of them.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == "verify":
            command.add_argument(
                "--metrics-file", type=Path, help="write the result there, for Prometheus' textfile collector"
            )
    return parser


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
        case _:
            from point_service.maintenance import check

            return asyncio.run(check(settings, arguments.metrics_file))
    return 0
