"""Using points for an order."""

import msgspec

from point_service.contract.errors import InsufficientPoints, OrderAlreadyUsed, TooManyGrants
from point_service.contract.schemas import Amount, Answer, NewOrderId, Request
from point_service.domain.entries import Entry, EntryKind
from point_service.domain.grants import Allocation, allocate
from point_service.domain.operations.operation import Decision
from point_service.domain.snapshot import Reads, Snapshot


class UseRequest(Request, frozen=True, kw_only=True):
    """Use the member's points for an order."""

    order_id: NewOrderId
    amount: Amount


class Used(Answer, frozen=True, kw_only=True):
    """A use, and the member's balance after it."""

    order_id: str
    amount: int
    allocations: list[Allocation]
    balance: int


class Use(msgspec.Struct, frozen=True):
    """Use points for an order, once for each order."""

    request: UseRequest

    @property
    def name(self) -> str:
        return "use"

    @property
    def reads(self) -> Reads:
        return Reads(points=self.request.amount, used_order=self.request.order_id)

    def decide(self, snapshot: Snapshot) -> Decision:
        """Raises OrderAlreadyUsed, InsufficientPoints, TooManyGrants."""
        order_id, amount = self.request.order_id, self.request.amount
        if (before := snapshot.order_used) is not None:
            # A shop that gets this without having asked before sees that it was for another sum.
            raise OrderAlreadyUsed(
                f"{before.amount} points were already used for order {order_id}",
                used=before.amount,
                used_at=before.at,
            )
        if (held := snapshot.held) < amount:
            raise InsufficientPoints(f"{amount} points asked for, {held} there", balance=held)
        allocations = allocate(snapshot.grants, amount)
        if (most := sum(taken.amount for taken in allocations)) < amount:
            raise TooManyGrants(
                f"{amount} points would come from too many grants, {most} can be used at once", balance=held
            )
        entries = [
            Entry(
                grant_id=taken.grant_id,
                kind=EntryKind.USE,
                amount=-taken.amount,
                order_id=order_id,
                position=position,
            )
            for position, taken in enumerate(allocations)
        ]
        answer = Used(order_id=order_id, amount=amount, allocations=allocations, balance=held - amount)
        return Decision(entries=entries, answer=lambda _: answer)
