"""The API's description (OpenAPI 3.1), made from the types that the service itself decodes and encodes."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import yaml

from point_service import VERSION
from point_service.contract import errors, schemas
from point_service.contract.errors import PROBLEM_MEDIA_TYPE, Problem, ProblemDocument
from point_service.domain.entries import EntryKind
from point_service.http.examples import EXAMPLES
from point_service.http.routes import ROUTES, Read, Write

WIDTH = 110  # columns of the file
REFERENCE = "#/components/schemas/{name}"

# Every call can meet these.
ALWAYS: Sequence[type[Problem]] = (
    errors.InvalidRequest,
    errors.NoMember,
    errors.NoClient,
    errors.MethodNotAllowed,
    errors.InternalError,
    errors.Overloaded,
    errors.Unavailable,
)
# Every POST can meet these.
WRITING: Sequence[type[Problem]] = (
    errors.InvalidIdempotencyKey,
    errors.MalformedJson,
    errors.BodyTooLarge,
    errors.UnsupportedMediaType,
    errors.InvalidField,
    errors.IdempotencyKeyReused,
    errors.ReferenceReused,
    errors.MemberBusy,
)

MOMENT = {"type": "string", "format": "date-time", "pattern": f"^{schemas.MOMENT_PATTERN}$"}

PARAMETERS: dict[str, dict[str, Any]] = {
    "X-Member-Id": {
        "name": "X-Member-Id",
        "in": "header",
        "required": True,
        "description": "Who calls; the member, unless the path names one. Set by the gateway from the verified token; a"
        " client can't set it.",
        "schema": {"type": "string", "pattern": f"^{schemas.MEMBER_ID_PATTERN}$"},
        "example": "m-1",
    },
    "X-Member-Role": {
        "name": "X-Member-Role",
        "in": "header",
        "description": "The caller's role, set by the gateway from the verified token.",
        "schema": {"type": "string", "enum": ["member", "service", "admin"], "default": "member"},
        "example": "admin",
    },
    "X-Client-Id": {
        "name": "X-Client-Id",
        "in": "header",
        "description": "The client that the token was given to, set by the gateway where a claim names it.",
        "schema": {"type": "string", "pattern": f"^{schemas.MEMBER_ID_PATTERN}$"},
        "example": "order-system",
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "Names this request: sent again with the same key, it is done once.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
        "example": "b8f7c1de-0e4a-4d0c-9a53-3f1f2d3e4a5b",
    },
    "order_id": {
        "name": "order_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": f"^{schemas.ORDER_ID_PATTERN}$"},
        "example": "o-1",
    },
    "member_id": {
        "name": "member_id",
        "in": "path",
        "required": True,
        "description": "The member, percent-encoded (a / is %2F), or in base64url where encoding says so",
        "schema": {"type": "string", "pattern": f"^{schemas.MEMBER_ID_PATTERN}$"},
        "example": "m-1",
    },
    "encoding": {
        "name": "encoding",
        "in": "query",
        "description": "How the path names the member, when not by itself: for . and .., which no path can carry, and"
        " where something on the way decodes %2F",
        "schema": {"type": "string", "enum": ["base64url"]},
    },
    "grant_id": {
        "name": "grant_id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": schemas.MAX_ID},
        "example": 1,
    },
    "cursor": {
        "name": "cursor",
        "in": "query",
        "description": "The next_cursor of the page before",
        "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
        "example": "8",
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "The most rows to give",
        "schema": {
            "type": "integer",
            "minimum": 1,
            "maximum": schemas.MAX_PAGE,
            "default": schemas.USUAL_PAGE,
        },
        "example": 2,
    },
    "live": {
        "name": "live",
        "in": "query",
        "description": "Only grants whose points can be spent",
        "schema": {"type": "boolean", "default": False},
        "example": True,
    },
    "from": {
        "name": "from",
        "in": "query",
        "description": "Only entries of this moment and later (RFC 3339, to the microsecond; a + is sent as %2B)",
        "schema": MOMENT,
        "example": "2026-11-01T00:00:00Z",
    },
    "to": {
        "name": "to",
        "in": "query",
        "description": "Only entries of before this moment; not before from",
        "schema": MOMENT,
        "example": "2026-12-01T00:00:00+09:00",
    },
    "kind": {
        "name": "kind",
        "in": "query",
        "description": "Only entries of this kind; repeated, of any of these",
        "schema": {"type": "array", "items": {"type": "string", "enum": [kind.value for kind in EntryKind]}},
        "example": ["USE", "CANCEL_USE"],
    },
}

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "Finds this request in the logs; the caller's own when it sent one",
        "schema": {"type": "string"},
    },
    "Idempotency-Replayed": {
        "description": "Present when this answer was given before, under the same key or reference",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "Seconds after which to try again",
        "schema": {"type": "integer"},
    },
    "RateLimit-Policy": {
        "description": "The limit that was reached, of the service or of the member: requests (q) in seconds (w)",
        "schema": {"type": "string"},
        "example": '"member";q=20;w=1',
    },
    "RateLimit": {
        "description": "What is left of it (r), and after how many seconds there is more (t)",
        "schema": {"type": "string"},
        "example": '"member";r=0;t=1',
    },
}


def document() -> dict[str, Any]:
    """Return the description as plain data."""
    types: list[Any] = [ProblemDocument]
    for route in ROUTES:
        types += [route.answer, *([route.body] if isinstance(route, Write) else [])]
    _, components = msgspec.json.schema_components(dict.fromkeys(types), ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})["post" if isinstance(route, Write) else "get"] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Points",
            "version": VERSION,
            "description": "A member's loyalty points, each traced from grant to order. Amounts are whole"
            " points, moments UTC. The gateway takes a bearer token and sets the headers X-Member-Id, X-Member-Role"
            " and X-Client-Id from it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "parameters": PARAMETERS,
            "headers": HEADERS,
        },
    }


def text() -> str:
    """Return the description as YAML for people and files."""
    return yaml.dump(
        document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=False
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write what occurs twice twice: tools resolve a $ref, not every one an alias."""
        del data
        return True


def _operation(route: Write | Read) -> dict[str, Any]:
    writing = isinstance(route, Write)
    example = EXAMPLES[route.name]
    in_path = re.findall(r"{(\w+)}", route.path)
    names = [
        "X-Member-Id",
        "X-Member-Role",
        "X-Client-Id",
        *(["Idempotency-Key"] if writing else []),
        *in_path,
        *route.query,
    ]
    problems = [
        *errors.GATEWAY,
        *ALWAYS,
        *(WRITING if writing else ()),
        *([errors.RoleMissing] if route.roles else []),
        *([errors.NotFound] if "member_id" in in_path else []),
        *([errors.InvalidField] if route.query else []),
        *route.problems,
    ]
    described: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in names],
        "responses": {
            "201" if writing else "200": {
                "description": route.summary,
                "headers": _headers("X-Request-Id", *(["Idempotency-Replayed"] if writing else [])),
                "content": _content(route.answer, example.answer),
            },
            **_problems(problems),
        },
    }
    if writing:
        described["requestBody"] = {
            "required": True,
            "content": _content(route.body, example.body, optional=True),
        }
    return described


def _content(
    kind: type[msgspec.Struct], example: msgspec.Struct | None, *, optional: bool = False
) -> dict[str, Any]:
    """Return a body's description; with `optional` its example leaves out what is null."""
    shown = {
        name: value
        for name, value in msgspec.to_builtins(example).items()
        if not (optional and value is None)
    }
    return {"application/json": {"schema": _reference(kind), "example": shown}}


def _problems(kinds: Sequence[type[Problem]]) -> dict[str, Any]:
    """Return the problem answers by status, each saying which problems it stands for."""
    by_status: dict[int, list[type[Problem]]] = {}
    for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code)):
        by_status.setdefault(kind.status, []).append(kind)
    return {
        str(status): {
            "description": "; ".join(f"{kind.code}: {kind.title}" for kind in same),
            "headers": _headers(
                "X-Request-Id",
                *(["Retry-After"] if any(kind.retry_after for kind in same) else []),
                *(["RateLimit-Policy", "RateLimit"] if errors.TooManyRequests in same else []),
            ),
            "content": {PROBLEM_MEDIA_TYPE: {"schema": _reference(ProblemDocument)}},
        }
        for status, same in by_status.items()
    }


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _reference(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(name=kind.__name__)}
