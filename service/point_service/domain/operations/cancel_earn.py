"""Taking a whole grant back."""

import msgspec

from point_service.contract.errors import GrantNotCancellable, GrantNotFound
from point_service.contract.schemas import Answer, Request
from point_service.domain.entries import Entry, EntryKind
from point_service.domain.operations.operation import Decision
from point_service.domain.snapshot import Reads, Snapshot


class CancelEarnRequest(Request, frozen=True, kw_only=True):
    """Take a whole grant back: no field is needed."""


class EarnCancelled(Answer, frozen=True, kw_only=True):
    """A grant taken back, and the member's balance after it."""

    grant_id: int
    amount: int
    balance: int


class CancelEarn(msgspec.Struct, frozen=True):
    """Take a whole grant back, while all of it is there."""

    request: CancelEarnRequest
    grant_id: int

    @property
    def name(self) -> str:
        return f"cancel-earn {self.grant_id}"

    @property
    def reads(self) -> Reads:
        return Reads(grant=self.grant_id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Raises GrantNotFound, or GrantNotCancellable when some of it is used, gone, or expired."""
        grant = snapshot.grant
        if grant is None:
            raise GrantNotFound("the member has no such grant")
        if grant.expires_at <= snapshot.now:
            raise GrantNotCancellable("the grant has expired")
        if grant.remaining != grant.amount:
            raise GrantNotCancellable(f"{grant.remaining} of its {grant.amount} points are left; all must be")
        entry = Entry(
            grant_id=grant.grant_id,
            kind=EntryKind.CANCEL_EARN,
            amount=-grant.amount,
            reversed_entry_id=snapshot.first_entry,
        )
        answer = EarnCancelled(
            grant_id=grant.grant_id, amount=grant.amount, balance=snapshot.held - grant.amount
        )
        return Decision(entries=[entry], answer=lambda _: answer)
