"""Granting points."""

from datetime import datetime
from typing import ClassVar

import msgspec

from point_service.contract.schemas import Amount, Answer, Days, Reason, Request
from point_service.domain import policy
from point_service.domain.grants import GrantKind, NewGrant
from point_service.domain.operations.operation import Decision
from point_service.domain.policy import Policy
from point_service.domain.snapshot import Reads, Snapshot


class EarnRequest(Request, frozen=True, kw_only=True):
    """Grant points to the member."""

    amount: Amount
    expires_in_days: Days | None = None
    reason: Reason | None = None
    hashed_when_absent: ClassVar[tuple[str, ...]] = ("expires_in_days", "reason")


class Earned(Answer, frozen=True, kw_only=True):
    """A new grant, and the member's balance after it."""

    grant_id: int
    amount: int
    remaining: int
    expires_at: datetime
    balance: int


class Earn(msgspec.Struct, frozen=True):
    """Grant points, within the policy."""

    request: EarnRequest
    kind: GrantKind
    policy: Policy

    @property
    def name(self) -> str:
        return "earn"

    @property
    def reads(self) -> Reads:
        return Reads()

    def decide(self, snapshot: Snapshot) -> Decision:
        """Raises InvalidField when the policy forbids the amount or the expiry, HoldingCapExceeded."""
        amount, balance = self.request.amount, snapshot.held
        lifetime = policy.check_earn(self.policy, amount, self.request.expires_in_days)
        policy.check_holding(self.policy, balance, amount)
        grant = NewGrant(
            kind=self.kind, amount=amount, expires_at=snapshot.now + lifetime, reason=self.request.reason
        )
        return Decision(
            new_grants=[grant],
            answer=lambda ids: Earned(
                grant_id=ids[0],
                amount=amount,
                remaining=amount,
                expires_at=grant.expires_at,
                balance=balance + amount,
            ),
        )
