"""How large a test is: small in the gate, whole in `make test-long`, or what a variable of its own says."""

import os

import pytest
from point_service.environment import Environment, SettingError

LONG = os.environ.get("POINT_LONG") == "1"


def size(name: str, small: int, whole: int) -> int:
    """Return the variable `POINT_<name>`, or else the size that this run has."""
    try:
        return Environment(os.environ).whole(f"POINT_{name}", whole if LONG else small, 1, 1_000_000)
    except SettingError as error:
        pytest.exit(str(error), 2)
