"""What a benchmark is told by variables of the environment; one that can't be used ends it with a line that says so."""

import os
import sys
from typing import NoReturn

from point_service.environment import Environment, SettingError

_GIVEN = Environment(os.environ)


def whole(name: str, default: int) -> int:
    """Return a whole number from 1 on, or end with status 2."""
    try:
        return _GIVEN.whole(name, default, 1, 1_000_000_000)
    except SettingError as error:
        _refuse(error)


def seconds(name: str, default: float) -> float:
    """Return a number of seconds, or end with status 2."""
    try:
        return _GIVEN.seconds(name, default, 0.1, 3600)
    except SettingError as error:
        _refuse(error)


def _refuse(error: SettingError) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
