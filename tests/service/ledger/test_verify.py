"""The check of the whole ledger finds what is broken, and where."""

import json

import pytest
from point_service.ledger import verify as checking
from point_service.ledger.verify import Report, verify, write_metrics

pytestmark = pytest.mark.integration


async def findings(member):
    found = []
    report = await verify(member.database, found.append)
    assert report.findings == len(found)
    return [finding for finding in found if member.member_id in finding.where], report


@pytest.fixture
async def busy(member, master):
    """A member with a bit of everything."""
    expired = json.loads((await member.earn(100)).body)["grant_id"]
    await member.earn(50)
    await member.use(120, "o-1")
    master.expire(expired)
    await member.cancel_use(110, "o-1")
    return member


async def test_a_sound_ledger_has_no_findings(busy):
    found, report = await findings(busy)
    assert found == []
    assert report.checked > 0


async def test_it_goes_through_everything_in_small_pages(busy, monkeypatch):
    _, whole = await findings(busy)
    monkeypatch.setattr(checking, "ROWS_AT_ONCE", 2)
    _, paged = await findings(busy)
    assert paged.checked == whole.checked


@pytest.mark.parametrize(
    ("said", "breaking", "mending"),
    [
        ("is not the sum of the entries", "balance = balance + 1", "balance = balance - 1"),
        ("is not the sum of what is left of the grants", "balance = balance + 1", "balance = balance - 1"),
    ],
)
async def test_a_balance_that_does_not_add_up_is_found(busy, master, said, breaking, mending):
    change = "UPDATE member_point SET {} WHERE member_id = %s"
    master.rows(change.format(breaking), busy.member_id)
    try:
        found, _ = await findings(busy)
    finally:
        master.rows(change.format(mending), busy.member_id)
    assert any(said in finding.invariant for finding in found)


async def test_a_grant_that_does_not_add_up_is_found(busy, master):
    change = "UPDATE point_ledger SET remaining = remaining {} 1 WHERE member_id = %s AND amount = 50"
    master.rows(change.format("-"), busy.member_id)
    try:
        found, _ = await findings(busy)
    finally:
        master.rows(change.format("+"), busy.member_id)
    assert any("is not the sum of the entries" in f.invariant and "grant" in f.where for f in found)


def test_the_result_is_left_for_prometheus(tmp_path):
    write_metrics(Report(checked=7, findings=2), tmp_path / "verify.prom")
    text = (tmp_path / "verify.prom").read_text()
    assert "point_verify_findings 2.0" in text
    assert "point_verify_rows 7.0" in text
