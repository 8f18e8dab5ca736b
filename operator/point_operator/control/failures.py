"""What went wrong, in words for status."""

import msgspec
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from point_operator.observe.fleet import Refusal


def cause(error: Exception) -> Refusal:
    """What an unexpected failure is called."""
    if isinstance(error, DynamicApiError):
        return Refusal("ApiFailed", f"The API server answered {error.status}: {said(error)}")
    if isinstance(error, OSError | TimeoutError):
        return Refusal(
            "ApiFailed", f"The API server can't be reached: {type(error).__name__} {error}".strip()
        )
    return Refusal("InternalError", f"A fault of the operator (see its log): {type(error).__name__}: {error}")


def said(error: DynamicApiError) -> str:
    """What the API server said about which child, without headers and traceback."""
    try:
        message = msgspec.json.decode(error.body or b"{}").get("message")
    except (msgspec.DecodeError, AttributeError):
        message = None  # a missing kind is answered in plain text
    return ": ".join([*getattr(error, "__notes__", ()), str(message or error.reason)])
