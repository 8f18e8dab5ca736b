"""The limits of the point programme."""

from datetime import timedelta

import pytest
from point_service.contract.errors import HoldingCapExceeded, InvalidField
from point_service.domain.policy import Policy, check_earn, check_holding


@pytest.mark.parametrize("amount", [0, 100_001])
def test_an_amount_outside_the_policy_is_refused(amount):
    with pytest.raises(InvalidField) as refused:
        check_earn(Policy(), amount, None)
    assert refused.value.field == "amount"


@pytest.mark.parametrize("days", [0, 1825])
def test_an_expiry_outside_the_policy_is_refused(days):
    with pytest.raises(InvalidField) as refused:
        check_earn(Policy(), 1, days)
    assert refused.value.field == "expires_in_days"


def test_a_grant_lives_a_year_unless_told_otherwise():
    assert check_earn(Policy(), 1, None) == timedelta(days=365)
    assert check_earn(Policy(), 1, 1824) == timedelta(days=1824)


def test_the_holding_cap_may_be_reached_but_not_passed():
    check_holding(Policy(), 9_999_999, 1)
    with pytest.raises(HoldingCapExceeded):
        check_holding(Policy(), 10_000_000, 1)
