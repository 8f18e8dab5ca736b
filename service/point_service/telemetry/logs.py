"""Logs: one JSON object a line on standard output, each with the request's and the trace's id. No secrets."""

import hashlib
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import msgspec

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
TRACE_ID: ContextVar[str | None] = ContextVar("trace_id", default=None)

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
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(level: str, *, zone: str | None = None, pod: str | None = None) -> None:
    """Send every logger's records of `level` and above to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(zone=zone, pod=pod))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel("WARNING" if level == "INFO" else level)


def hashed(member_id: str) -> str:
    """Return a short name for a member that tells people apart without telling who they are."""
    return hashlib.sha256(member_id.encode()).hexdigest()[:12]


def debugging() -> bool:
    """Tell whether tracebacks of expected failures are wanted."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)
