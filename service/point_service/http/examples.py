"""An example of each call, by its name. They are one story, which a test tells the service.

A member earns 1000 points, which are taken back and earned again, is given 500 more by hand, uses 1200 for an order,
and gets 100 of them back.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from point_service.contract.schemas import Answer, Request
from point_service.domain.grants import Allocation
from point_service.domain.operations.cancel_earn import CancelEarnRequest, EarnCancelled
from point_service.domain.operations.cancel_use import CancelUseRequest, Restored, UseCancelled
from point_service.domain.operations.earn import Earned, EarnRequest
from point_service.domain.operations.use import Used, UseRequest
from point_service.ledger.views import (
    Balance,
    Expiring,
    Grants,
    GrantState,
    History,
    HistoryEntry,
    OrderTrace,
    TracedAllocation,
)


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, if anything, and what is answered."""

    answer: Answer
    body: Request | None = None


_AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
_LATER = _AT + timedelta(days=365)
_SOON = _AT + timedelta(days=20)

_BALANCE = Balance(member_id="m-1", balance=400, expiring=[Expiring(on="2026-12-14", amount=100)])
_GRANTS = Grants(
    grants=[
        GrantState(
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
        GrantState(
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
_HISTORY = History(
    entries=[
        HistoryEntry(entry_id=7, kind="CANCEL_USE", amount=100, grant_id=3, order_id="o-1", at=_AT),
        HistoryEntry(entry_id=6, kind="USE", amount=-700, grant_id=2, order_id="o-1", at=_AT),
    ],
    next_cursor="6",
)
_TRACE = OrderTrace(
    order_id="o-1",
    used=1200,
    cancelled=100,
    cancellable=1100,
    allocations=[
        TracedAllocation(grant_id=3, amount=500, cancelled=100, used_at=_AT),
        TracedAllocation(grant_id=2, amount=700, cancelled=0, used_at=_AT),
    ],
)

_OWN: Mapping[str, Example] = {
    "earn": Example(
        body=EarnRequest(amount=1000),
        answer=Earned(grant_id=1, amount=1000, remaining=1000, expires_at=_LATER, balance=1000),
    ),
    "cancelEarn": Example(body=CancelEarnRequest(), answer=EarnCancelled(grant_id=1, amount=1000, balance=0)),
    "use": Example(
        body=UseRequest(order_id="o-1", amount=1200, reference="purchase-1"),
        answer=Used(
            order_id="o-1",
            amount=1200,
            allocations=[
                Allocation(grant_id=3, amount=500),
                Allocation(grant_id=2, amount=700),
            ],
            balance=300,
        ),
    ),
    "cancelUse": Example(
        body=CancelUseRequest(order_id="o-1", amount=100, reference="refund-1"),
        answer=UseCancelled(
            order_id="o-1",
            cancelled=100,
            restored=[Restored(grant_id=3, amount=100)],
            regranted=[],
            cancellable=1100,
            balance=400,
        ),
    ),
    "balance": Example(answer=_BALANCE),
    "grants": Example(answer=_GRANTS),
    "history": Example(answer=_HISTORY),
    "order": Example(answer=_TRACE),
}

EXAMPLES: Mapping[str, Example] = {
    **_OWN,
    **{f"{name}ForMember": example for name, example in _OWN.items()},
    "adminEarn": Example(
        body=EarnRequest(amount=500, expires_in_days=20, reason="late delivery"),
        answer=Earned(grant_id=3, amount=500, remaining=500, expires_at=_SOON, balance=1500),
    ),
    "adminBalance": Example(answer=_BALANCE),
    "adminGrants": Example(answer=_GRANTS),
    "adminHistory": Example(answer=_HISTORY),
    "adminOrder": Example(answer=_TRACE),
}
