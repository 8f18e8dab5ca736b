"""Every call of the API, once: what `handlers.py` serves and `openapi.py` describes."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from point_service.contract import errors
from point_service.contract.errors import Problem
from point_service.contract.identity import Role
from point_service.contract.schemas import Answer, Request
from point_service.domain.grants import GrantKind
from point_service.domain.operations.cancel_earn import CancelEarn, CancelEarnRequest, EarnCancelled
from point_service.domain.operations.cancel_use import CancelUse, CancelUseRequest, UseCancelled
from point_service.domain.operations.earn import Earn, Earned, EarnRequest
from point_service.domain.operations.operation import Operation
from point_service.domain.operations.use import Use, Used, UseRequest
from point_service.http.requests import Call, Context, grant_id, only, only_live, order_id, page
from point_service.ledger.views import Balance, Grants, History, OrderTrace, Views

SHOP = (Role.SERVICE, Role.ADMIN)
OPERATORS = (Role.ADMIN,)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one address. It is about the member its path names, or else about the caller.

    `problems` are those that not every call like it can meet.
    """

    path: str
    name: str
    summary: str
    answer: type[Answer]
    roles: Sequence[Role] = ()  # who may call; none: everybody
    query: Sequence[str] = ()
    problems: Sequence[type[Problem]] = ()


class Write(Route, frozen=True, kw_only=True):
    """A POST: its body, decoded, becomes an operation on the member's points."""

    body: type[Request]
    operation: Callable[[Any, Context], Operation]
    to_others: bool = False  # whether the path may not name the caller itself


class Read(Route, frozen=True, kw_only=True):
    """A GET: a view of the member's points."""

    view: Callable[[Call, Views, str], Awaitable[Answer]]


def _earn(body: EarnRequest, context: Context) -> Operation:
    kind = GrantKind.MANUAL if context.caller.role is Role.ADMIN else GrantKind.NORMAL
    return Earn(body, kind, context.policy)


def _balance(_: Call, views: Views, member_id: str) -> Awaitable[Balance]:
    return views.balance(member_id)


def _grants(call: Call, views: Views, member_id: str) -> Awaitable[Grants]:
    return views.grants(member_id, *page(call), only_live(call))


def _history(call: Call, views: Views, member_id: str) -> Awaitable[History]:
    return views.history(member_id, *page(call), only(call))


def _order(call: Call, views: Views, member_id: str) -> Awaitable[OrderTrace]:
    return views.order(member_id, order_id(call))


def _for_member(own: Write | Read) -> Write | Read:
    """Return the call by which the shop's systems do for the member in the path what `own` does for the caller.

    It grants to others alone: who names itself there is no system of the shop that acts for a member.
    """
    route = msgspec.structs.replace(
        own,
        path=own.path.replace("/v1/points", "/v1/members/{member_id}", 1),
        name=f"{own.name}ForMember",
        summary=f"For the member in the path: {own.summary[0].lower()}{own.summary[1:]}"
        + ("" if own.roles else " (service or admin)"),
        roles=SHOP,
        query=("encoding", *own.query),
    )
    if isinstance(route, Write) and route.operation is _earn:
        return msgspec.structs.replace(route, to_others=True, problems=(errors.OwnGrant, *route.problems))
    return route


_OWN: Sequence[Write | Read] = (
    Write(
        path="/v1/points/earn",
        name="earn",
        summary="Grant points to the member (role service or admin; an admin's grant is used first)",
        roles=SHOP,
        body=EarnRequest,
        answer=Earned,
        problems=(errors.HoldingCapExceeded,),
        operation=_earn,
    ),
    Write(
        path="/v1/points/earn/{grant_id}/cancel",
        name="cancelEarn",
        summary="Take a whole grant back, while none of it is used and it has not expired (service or admin)",
        roles=SHOP,
        body=CancelEarnRequest,
        answer=EarnCancelled,
        problems=(errors.GrantNotFound, errors.GrantNotCancellable),
        operation=lambda body, context: CancelEarn(body, grant_id(context.call)),
    ),
    Write(
        path="/v1/points/use",
        name="use",
        summary="Use the member's points for an order, once for each order",
        body=UseRequest,
        answer=Used,
        problems=(errors.InsufficientPoints, errors.OrderAlreadyUsed, errors.TooManyGrants),
        operation=lambda body, _: Use(body),
    ),
    Write(
        path="/v1/points/use/cancel",
        name="cancelUse",
        summary="Give points of an order back, all or some, in the order they were taken (service or admin)",
        roles=SHOP,
        body=CancelUseRequest,
        answer=UseCancelled,
        problems=(errors.OrderNotFound, errors.OrderArchived, errors.CancelExceedsUse),
        operation=lambda body, context: CancelUse(body, context.policy),
    ),
    Read(
        path="/v1/points",
        name="balance",
        summary="What the member can spend now, and what of it expires soon",
        answer=Balance,
        view=_balance,
    ),
    Read(
        path="/v1/points/grants",
        name="grants",
        summary="The member's grants, newest first",
        answer=Grants,
        query=("cursor", "limit", "live"),
        view=_grants,
    ),
    Read(
        path="/v1/points/history",
        name="history",
        summary="The member's ledger entries, newest first",
        answer=History,
        query=("cursor", "limit", "from", "to", "kind"),
        view=_history,
    ),
    Read(
        path="/v1/points/orders/{order_id}",
        name="order",
        summary="Where an order's points came from, and what of them can still be given back",
        answer=OrderTrace,
        problems=(errors.OrderNotFound,),
        view=_order,
    ),
)

_ADMIN: Sequence[Write | Read] = (
    Write(
        path="/v1/admin/members/{member_id}/earn",
        name="adminEarn",
        summary="Grant points to any member by hand; they are used first (admin)",
        roles=OPERATORS,
        body=EarnRequest,
        answer=Earned,
        query=("encoding",),
        problems=(errors.OwnGrant, errors.HoldingCapExceeded),
        operation=_earn,
        to_others=True,
    ),
    Read(
        path="/v1/admin/members/{member_id}",
        name="adminBalance",
        summary="What any member can spend now (admin)",
        roles=OPERATORS,
        answer=Balance,
        query=("encoding",),
        view=_balance,
    ),
    Read(
        path="/v1/admin/members/{member_id}/grants",
        name="adminGrants",
        summary="Any member's grants, newest first (admin)",
        roles=OPERATORS,
        answer=Grants,
        query=("encoding", "cursor", "limit", "live"),
        view=_grants,
    ),
    Read(
        path="/v1/admin/members/{member_id}/history",
        name="adminHistory",
        summary="Any member's ledger entries, newest first (admin)",
        roles=OPERATORS,
        answer=History,
        query=("encoding", "cursor", "limit", "from", "to", "kind"),
        view=_history,
    ),
    Read(
        path="/v1/admin/members/{member_id}/orders/{order_id}",
        name="adminOrder",
        summary="Where the points of any member's order came from (admin)",
        roles=OPERATORS,
        answer=OrderTrace,
        query=("encoding",),
        problems=(errors.OrderNotFound,),
        view=_order,
    ),
)

ROUTES: Sequence[Write | Read] = (*_OWN, *map(_for_member, _OWN), *_ADMIN)
