"""Answers as they are sent."""

import msgspec
from litestar import Response

from point_service.contract import errors, schemas
from point_service.contract.errors import PROBLEM_MEDIA_TYPE
from point_service.http.requests import JSON
from point_service.ledger.points import Outcome
from point_service.telemetry import logs


def written(outcome: Outcome) -> Response[bytes]:
    """Return what became of an operation, a refusal by the rules too."""
    return Response(
        outcome.body.encode(),
        status_code=outcome.status,
        media_type=JSON if outcome.status < 400 else PROBLEM_MEDIA_TYPE,
        headers={"idempotency-replayed": "true"} if outcome.replayed else None,
    )


def seen(answer: schemas.Answer) -> Response[bytes]:
    """Return what was only looked at. A member's points are nobody else's, and stale at once."""
    return Response(msgspec.json.encode(answer), media_type=JSON, headers={"cache-control": "no-store"})


def refused(problem: errors.Problem) -> Response[bytes]:
    """Return a problem."""
    return Response(
        errors.encode(problem, logs.REQUEST_ID.get()),
        status_code=problem.status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers=problem.headers(),
    )
