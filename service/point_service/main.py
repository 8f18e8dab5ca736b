"""The command line: `point-service serve`, `migrate`, `openapi`."""

import argparse
import logging
import sys

from point_service import logs, openapi
from point_service.settings import SettingError, load

COMMANDS = {
    "serve": "answer requests until told to stop",
    "migrate": "bring the database's schema and the application user up to date",
    "openapi": "print the API's description (OpenAPI, JSON)",
}


def main() -> None:
    """Run one command. Exit status 2: the configuration is wrong; 1: the command failed."""
    parser = argparse.ArgumentParser(
        prog="point-service",
        description="Loyalty points that are never lost and never spent twice.",
        epilog="Configuration: the POINT_* environment variables, see docs/api.md.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        commands.add_parser(name, help=text, description=text)
    command: str = parser.parse_args().command
    if command == "openapi":
        print(openapi.text(), end="")
        return
    try:
        settings = load()
        logs.configure(settings.log_level, zone=settings.zone, pod=settings.pod_name)
        # Imported here: the migration needs no server, the server no SQLAlchemy.
        if command == "serve":
            from point_service.serve import serve

            serve(settings)
        else:
            from point_service.migrate import migrate

            migrate(settings.database)
    except SettingError as error:
        print(f"point-service: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        logging.getLogger(__name__).error("%s failed: %s", command, error, exc_info=logs.debugging())
        sys.exit(1)
