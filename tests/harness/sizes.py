"""How large a test is: small in the gate, whole in `make test-long`, or what a variable of its own says."""

import os

LONG = os.environ.get("POINT_LONG") == "1"


def size(name: str, small: int, whole: int) -> int:
    """Return the variable `POINT_<name>`, or else the size that this run has."""
    return int(os.environ.get(f"POINT_{name}", whole if LONG else small))
