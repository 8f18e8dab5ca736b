"""Logs: one JSON object a line on standard output, each with the request's and the trace's id.

No secrets, and nobody's name: members are pseudonyms, and an exception that may quote a value says its type alone.
"""

import hmac
import logging
import secrets
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import msgspec

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
TRACE_ID: ContextVar[str | None] = ContextVar("trace_id", default=None)

# What is in force until `configure` is given one: then no two processes call a member the same.
_key = secrets.token_bytes(32)
# Words about the code or the system. A KeyError's are the key, a ValueError's the value, a driver's the statement.
_TELLING = (OSError, TypeError, AttributeError, NameError, ImportError, AssertionError)
_OWN = __name__.partition(".")[0]
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON, with whatever `extra` it carries."""

    def __init__(self, **constant: str | None) -> None:
        super().__init__()
        self._constant = {name: value for name, value in constant.items() if value is not None}

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._constant,
        }
        for name, value in (("request_id", REQUEST_ID.get()), ("trace_id", TRACE_ID.get())):
            if value is not None:
                line[name] = value
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _traced(record.exc_info[1])
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(
    level: str, *, zone: str | None = None, pod: str | None = None, key: bytes | None = None
) -> None:
    """Send every logger's records of `level` and above to standard output. `key` makes the members' pseudonyms."""
    global _key
    _key = key or _key
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(zone=zone, pod=pod))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel("WARNING" if level == "INFO" else level)


def hashed(member_id: str) -> str:
    """Return a short name for a member that tells people apart, and who they are only to whoever has the key."""
    return hmac.new(_key, member_id.encode(), "sha256").hexdigest()[:16]


def told(error: BaseException) -> str:
    """Return an exception in words that quote no value: its type, and what it says where that can't be one."""
    kind = type(error)
    if not isinstance(error, _TELLING) and kind.__module__.partition(".")[0] != _OWN:
        return kind.__name__
    return f"{kind.__name__}: {error}".removesuffix(": ")


def _traced(error: BaseException) -> str:
    """Return where an exception was raised, after those that led to it."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    earlier = f"{_traced(before)}\n" if before is not None else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{earlier}{frames}{told(error)}"


def debugging() -> bool:
    """Tell whether tracebacks of expected failures are wanted."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)
