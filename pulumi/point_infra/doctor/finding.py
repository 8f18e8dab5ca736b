"""What one check found, on one line."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.parsers import ResponseParserError

NO_ANSWER = (BotoCoreError, ClientError, ResponseParserError)
"""What a question to AWS ends with when it is not answered."""

_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
_LONGEST = 160
"""Characters of a foreign message that a line takes."""


class Mark(StrEnum):
    """How a check came out; only FAILED makes the exit status 1."""

    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    FAILED = "failed"


_SIGNS = {Mark.OK: "✓", Mark.WARNING: "!", Mark.UNKNOWN: "?", Mark.FAILED: "✗"}


@dataclass(frozen=True)
class Finding:
    """`what` was looked at, what was `found`, and what to do `then`, which every failure says."""

    mark: Mark
    what: str
    found: str
    then: str = ""

    def line(self) -> str:
        """For a person."""
        return f"{_SIGNS[self.mark]} {self.what}: {self.found}" + (
            f"; next: {self.then}" if self.then else ""
        )

    def document(self) -> dict[str, Any]:
        """For a program."""
        return {"mark": str(self.mark), "what": self.what, "found": self.found, "next": self.then}


def ok(what: str, found: str) -> Finding:
    """It will do."""
    return Finding(Mark.OK, what, found)


def warning(what: str, found: str, then: str) -> Finding:
    """It will do now, or probably."""
    return Finding(Mark.WARNING, what, found, then)


def failed(what: str, found: str, then: str) -> Finding:
    """An update would stop here."""
    return Finding(Mark.FAILED, what, found, then)


def unknown(what: str, why: str) -> Finding:
    """It could not be looked at, which says nothing about it."""
    return Finding(Mark.UNKNOWN, what, f"could not check: {why}")


def because(error: Exception) -> str:
    """An error of boto3, the resolver or the network, in a few words without a line break."""
    if isinstance(error, ClientError) and code(error) in _DENIED:
        return f"these credentials may not call {error.operation_name}"
    if isinstance(error, ResponseParserError):
        return "what answered is not AWS: no page of its API"
    if isinstance(error, ClientError) and code(error).isdigit():
        return f"{error.operation_name} has no answer of AWS's API: HTTP {code(error)}"
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= _LONGEST else words[:_LONGEST] + "..."


def offline(error: Exception) -> bool:
    """Whether the network failed rather than AWS refused."""
    return isinstance(error, HTTPClientError | ResponseParserError)


def code(error: ClientError) -> str:
    """AWS's own name of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))
