"""Giving points of an order back."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from point_service.contract.errors import CancelExceedsUse, OrderArchived, OrderNotFound
from point_service.contract.schemas import Amount, Answer, OrderId, Request
from point_service.domain.entries import Entry, EntryKind
from point_service.domain.grants import NewGrant
from point_service.domain.operations.operation import Decision
from point_service.domain.policy import Policy
from point_service.domain.snapshot import Reads, Snapshot


class CancelUseRequest(Request, frozen=True, kw_only=True):
    """Give points of an order back, all or some."""

    order_id: OrderId
    amount: Amount


class Restored(Answer, frozen=True, kw_only=True):
    """Points given back to the grant they came from."""

    grant_id: int
    amount: int


class Regranted(Answer, frozen=True, kw_only=True):
    """Points granted anew because the grant they came from expired."""

    grant_id: int
    source_grant_id: int
    amount: int
    expires_at: datetime


class UseCancelled(Answer, frozen=True, kw_only=True):
    """What was given back, what still can be, and the member's balance after it."""

    order_id: str
    cancelled: int
    restored: list[Restored]
    regranted: list[Regranted]
    cancellable: int
    balance: int


class CancelUse(msgspec.Struct, frozen=True):
    """Give points of an order back, in the order in which they were taken.

    What came from a grant that expired meanwhile is granted anew, past the holding cap too, with the old grant's kind.
    """

    request: CancelUseRequest
    policy: Policy

    @property
    def name(self) -> str:
        return "cancel-use"

    @property
    def reads(self) -> Reads:
        return Reads(order=self.request.order_id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Raises OrderNotFound, OrderArchived, or CancelExceedsUse when less than the amount is left to give back."""
        order_id, amount = self.request.order_id, self.request.amount
        if snapshot.order_archived:  # in part is enough: all of it was taken at one moment
            raise OrderArchived(f"order {order_id} is in the archive, nothing of it can be given back")
        taken = snapshot.order_parts
        if not taken:
            raise OrderNotFound(f"no points were used for order {order_id}")
        cancellable = sum(part.outstanding for part in taken)
        if amount > cancellable:
            raise CancelExceedsUse(f"{amount} points asked back, {cancellable} can be")
        expires_at = snapshot.now + timedelta(days=self.policy.default_expiry_days)
        restored: list[Entry] = []
        regranted: list[NewGrant] = []
        missing = amount
        for part in taken:
            back = min(part.outstanding, missing)
            if back == 0:
                continue
            missing -= back
            if part.expires_at > snapshot.now:
                restored.append(
                    Entry(
                        grant_id=part.grant_id,
                        kind=EntryKind.CANCEL_USE,
                        amount=back,
                        order_id=order_id,
                        reversed_entry_id=part.entry_id,
                    )
                )
            else:
                regranted.append(
                    NewGrant(
                        kind=part.kind,
                        amount=back,
                        expires_at=expires_at,
                        source_grant_id=part.grant_id,
                        entry_kind=EntryKind.CANCEL_USE,
                        order_id=order_id,
                        reversed_entry_id=part.entry_id,
                    )
                )

        def answer(ids: Sequence[int]) -> UseCancelled:
            return UseCancelled(
                order_id=order_id,
                cancelled=amount,
                restored=[Restored(grant_id=entry.grant_id, amount=entry.amount) for entry in restored],
                regranted=[
                    Regranted(
                        grant_id=grant_id,
                        source_grant_id=grant.source_grant_id or 0,
                        amount=grant.amount,
                        expires_at=grant.expires_at,
                    )
                    for grant, grant_id in zip(regranted, ids, strict=True)
                ],
                cancellable=cancellable - amount,
                balance=snapshot.held + amount,
            )

        return Decision(entries=restored, new_grants=regranted, answer=answer)
