"""The limits of the point programme, and what they refuse."""

from datetime import timedelta

import msgspec

from point_service.contract.errors import HoldingCapExceeded, InvalidField


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of the point programme. Amounts are points, expiries are days of 24 hours."""

    min_earn: int = 1
    max_earn: int = 100_000
    max_balance: int = 10_000_000
    default_expiry_days: int = 365
    max_expiry_days: int = 1_824
    expiring_soon_days: int = 30


def check_earn(policy: Policy, amount: int, expires_in_days: int | None) -> timedelta:
    """Return how long a grant of `amount` points lives. Raises InvalidField when the policy forbids it."""
    if not policy.min_earn <= amount <= policy.max_earn:
        raise InvalidField(f"amount must be from {policy.min_earn} to {policy.max_earn}", field="amount")
    days = policy.default_expiry_days if expires_in_days is None else expires_in_days
    if not 1 <= days <= policy.max_expiry_days:
        raise InvalidField(
            f"expires_in_days must be from 1 to {policy.max_expiry_days}", field="expires_in_days"
        )
    return timedelta(days=days)


def check_holding(policy: Policy, balance: int, amount: int) -> None:
    """Raise HoldingCapExceeded when `amount` more points than `balance` are above the cap."""
    if balance + amount > policy.max_balance:
        raise HoldingCapExceeded(
            f"{balance} points held and {amount} more would pass the cap of {policy.max_balance}",
            balance=balance,
        )
