"""Every operation of the API, for its description."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from point_service.contract import errors, schemas
from point_service.contract.errors import Problem


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one address. `body` and `answer` are examples; their types are what is described."""

    method: str
    path: str
    name: str
    summary: str
    answer: schemas.Answer
    body: schemas.Request | None = None
    parameters: Sequence[str] = ()
    problems: Sequence[type[Problem]] = ()


# The examples are one story, which a test tells the service: a member earns 1000 points, which are taken back and
# earned again, is given 500 more by hand, uses 1200 for an order, and gets 100 of them back.
_AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
_LATER = _AT + timedelta(days=365)
_SOON = _AT + timedelta(days=20)

_BALANCE = schemas.Balance(
    member_id="m-1", balance=400, expiring=[schemas.Expiring(on="2026-12-14", amount=100)]
)
_GRANTS = schemas.Grants(
    grants=[
        schemas.GrantState(
            grant_id=3,
            kind="MANUAL",
            amount=500,
            remaining=100,
            expires_at=_SOON,
            expired=False,
            source_grant_id=None,
            reason="late delivery",
            granted_at=_AT,
        ),
        schemas.GrantState(
            grant_id=2,
            kind="NORMAL",
            amount=1000,
            remaining=300,
            expires_at=_LATER,
            expired=False,
            source_grant_id=None,
            reason=None,
            granted_at=_AT,
        ),
    ],
    next_cursor="2",
)
_HISTORY = schemas.History(
    entries=[
        schemas.HistoryEntry(entry_id=7, kind="CANCEL_USE", amount=100, grant_id=3, order_id="o-1", at=_AT),
        schemas.HistoryEntry(entry_id=6, kind="USE", amount=-700, grant_id=2, order_id="o-1", at=_AT),
    ],
    next_cursor="6",
)
_TRACE = schemas.OrderTrace(
    order_id="o-1",
    used=1200,
    cancelled=100,
    cancellable=1100,
    allocations=[
        schemas.TracedAllocation(grant_id=3, amount=500, cancelled=100, used_at=_AT),
        schemas.TracedAllocation(grant_id=2, amount=700, cancelled=0, used_at=_AT),
    ],
)

OPERATIONS: Sequence[Operation] = (
    Operation(
        method="post",
        path="/v1/points/earn",
        name="earn",
        summary="Grant points to the member (role service or admin; an admin's grant is used first)",
        body=schemas.EarnRequest(amount=1000),
        answer=schemas.Earned(grant_id=1, amount=1000, remaining=1000, expires_at=_LATER, balance=1000),
        problems=(errors.RoleMissing, errors.HoldingCapExceeded),
    ),
    Operation(
        method="post",
        path="/v1/points/earn/{grant_id}/cancel",
        name="cancelEarn",
        summary="Take a whole grant back, while none of it is used and it has not expired (service or admin)",
        body=schemas.CancelEarnRequest(),
        answer=schemas.EarnCancelled(grant_id=1, amount=1000, balance=0),
        parameters=("grant_id",),
        problems=(errors.RoleMissing, errors.GrantNotFound, errors.GrantNotCancellable),
    ),
    Operation(
        method="post",
        path="/v1/points/use",
        name="use",
        summary="Use the member's points for an order, once for each order",
        body=schemas.UseRequest(order_id="o-1", amount=1200),
        answer=schemas.Used(
            order_id="o-1",
            amount=1200,
            allocations=[
                schemas.Allocation(grant_id=3, amount=500),
                schemas.Allocation(grant_id=2, amount=700),
            ],
            balance=300,
        ),
        problems=(errors.InsufficientPoints, errors.OrderAlreadyUsed),
    ),
    Operation(
        method="post",
        path="/v1/points/use/cancel",
        name="cancelUse",
        summary="Give points of an order back, all or some, in the order they were taken (service or admin)",
        body=schemas.CancelUseRequest(order_id="o-1", amount=100),
        answer=schemas.UseCancelled(
            order_id="o-1",
            cancelled=100,
            restored=[schemas.Restored(grant_id=3, amount=100)],
            regranted=[],
            cancellable=1100,
            balance=400,
        ),
        problems=(errors.RoleMissing, errors.OrderNotFound, errors.CancelExceedsUse),
    ),
    Operation(
        method="get",
        path="/v1/points",
        name="balance",
        summary="What the member can spend now, and what of it expires soon",
        answer=_BALANCE,
    ),
    Operation(
        method="get",
        path="/v1/points/grants",
        name="grants",
        summary="The member's grants, newest first",
        answer=_GRANTS,
        parameters=("cursor", "limit", "live"),
        problems=(errors.InvalidField,),
    ),
    Operation(
        method="get",
        path="/v1/points/history",
        name="history",
        summary="The member's ledger entries, newest first",
        answer=_HISTORY,
        parameters=("cursor", "limit"),
        problems=(errors.InvalidField,),
    ),
    Operation(
        method="get",
        path="/v1/points/orders/{order_id}",
        name="order",
        summary="Where an order's points came from, and what of them can still be given back",
        answer=_TRACE,
        parameters=("order_id",),
        problems=(errors.OrderNotFound,),
    ),
    Operation(
        method="post",
        path="/v1/admin/members/{member_id}/earn",
        name="adminEarn",
        summary="Grant points to any member by hand; they are used first (admin)",
        body=schemas.EarnRequest(amount=500, expires_in_days=20, reason="late delivery"),
        answer=schemas.Earned(grant_id=3, amount=500, remaining=500, expires_at=_SOON, balance=1500),
        parameters=("member_id",),
        problems=(errors.RoleMissing, errors.NotFound, errors.HoldingCapExceeded),
    ),
    Operation(
        method="get",
        path="/v1/admin/members/{member_id}",
        name="adminBalance",
        summary="What any member can spend now (admin)",
        answer=_BALANCE,
        parameters=("member_id",),
        problems=(errors.RoleMissing, errors.NotFound),
    ),
    Operation(
        method="get",
        path="/v1/admin/members/{member_id}/grants",
        name="adminGrants",
        summary="Any member's grants, newest first (admin)",
        answer=_GRANTS,
        parameters=("member_id", "cursor", "limit", "live"),
        problems=(errors.RoleMissing, errors.NotFound, errors.InvalidField),
    ),
    Operation(
        method="get",
        path="/v1/admin/members/{member_id}/history",
        name="adminHistory",
        summary="Any member's ledger entries, newest first (admin)",
        answer=_HISTORY,
        parameters=("member_id", "cursor", "limit"),
        problems=(errors.RoleMissing, errors.NotFound, errors.InvalidField),
    ),
    Operation(
        method="get",
        path="/v1/admin/members/{member_id}/orders/{order_id}",
        name="adminOrder",
        summary="Where the points of any member's order came from (admin)",
        answer=_TRACE,
        parameters=("member_id", "order_id"),
        problems=(errors.RoleMissing, errors.NotFound, errors.OrderNotFound),
    ),
)
