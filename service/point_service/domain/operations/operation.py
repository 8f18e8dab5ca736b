"""What an operation is."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from point_service.contract.schemas import Answer, Request
from point_service.domain.entries import Entry
from point_service.domain.grants import NewGrant
from point_service.domain.snapshot import Reads, Snapshot


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation changes, and its answer once the new grants have their ids."""

    answer: Callable[[Sequence[int]], Answer]
    entries: Sequence[Entry] = ()
    new_grants: Sequence[NewGrant] = ()


class Operation(Protocol):
    """A change of one member's points, as somebody asks for it."""

    @property
    def name(self) -> str:
        """Tells requests with the same body apart, for ever: stored answers know them by it."""
        ...

    @property
    def request(self) -> Request:
        """The body it was asked for with."""
        ...

    @property
    def reads(self) -> Reads:
        """What its decision needs to know of the member."""
        ...

    def decide(self, snapshot: Snapshot) -> Decision:
        """Decide from what was read under the member's lock, and nothing else.

        Raises Refusal, or InvalidField when the policy of today forbids what a field says: an answer like any other,
        which a policy of tomorrow doesn't change.
        """
        ...
