"""The ledger adds up after every step of every story Hypothesis can make up."""

import asyncio
import json
import uuid

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from point_service.contract.errors import InsufficientPoints, OrderAlreadyUsed
from point_service.contract.schemas import MAX_ID
from point_service.domain.grants import GrantKind
from point_service.ledger.upkeep import expire_due

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

MEMBERS = st.integers(0, 2)
ORDERS = st.integers(0, 5)
AMOUNTS = st.integers(1, 300)


class Story(RuleBasedStateMachine):
    """Random operations by three members, with expiries passing in between, against a model of what is due."""

    pod = None  # given by the test
    member_of = None
    master = None
    loop = None

    def __init__(self):
        super().__init__()
        self.members = [self.member_of(self.pod) for _ in range(3)]
        self.prefix = uuid.uuid4().hex[:8]
        self.grants = {}  # grant id: [member, amount, left, expired]
        self.orders = {}  # (member, order): [grant, taken, given back] in the order they were taken
        self.told = []  # requests as they were sent, with their outcomes

    def run(self, work):
        return self.loop.run(work)

    def live(self, member):
        return sum(
            left for owner, _, left, expired in self.grants.values() if owner == member and not expired
        )

    def send(self, who, operation, *request, **more):
        """Send a request of a member under a new key; it may be sent again later."""
        key = str(uuid.uuid4())
        outcome = self.run(getattr(self.members[who], operation)(*request, key=key, **more))
        self.told.append((who, operation, request, more | {"key": key}, outcome))
        assert outcome.replayed is False
        return outcome.status, json.loads(outcome.body)

    @rule(who=MEMBERS, amount=AMOUNTS, days=st.integers(1, 1824), kind=st.sampled_from(GrantKind))
    def earn(self, who, amount, days, kind):
        status, answer = self.send(who, "earn", amount, days=days, kind=kind)
        assert status == 201
        self.grants[answer["grant_id"]] = [who, amount, amount, False]
        assert answer["balance"] == self.live(who)

    @rule(who=MEMBERS, order=ORDERS, amount=AMOUNTS)
    def use(self, who, order, amount):
        status, answer = self.send(who, "use", amount, f"{self.prefix}-{order}")
        if (who, order) in self.orders:
            assert (status, answer["title"]) == (409, OrderAlreadyUsed.title)
        elif self.live(who) < amount:
            assert (status, answer["title"]) == (409, InsufficientPoints.title)
            assert answer["balance"] == self.live(who)
        else:
            assert status == 201
            for part in answer["allocations"]:
                owner, _, left, expired = self.grants[part["grant_id"]]
                assert (owner, expired) == (who, False)
                assert part["amount"] <= left
                self.grants[part["grant_id"]][2] -= part["amount"]
            parts = [[part["grant_id"], part["amount"], 0] for part in answer["allocations"]]
            assert sum(taken for _, taken, _ in parts) == amount
            self.orders[who, order] = parts
            assert answer["balance"] == self.live(who)

    @rule(who=MEMBERS, order=ORDERS, amount=AMOUNTS)
    def cancel_use(self, who, order, amount):
        status, answer = self.send(who, "cancel_use", amount, f"{self.prefix}-{order}")
        parts = self.orders.get((who, order))
        if parts is None:
            assert status == 404
            return
        outstanding = sum(taken - given for _, taken, given in parts)
        assert status == (201 if amount <= outstanding else 409)
        if status == 409:
            return
        for part in answer["restored"]:
            assert self.grants[part["grant_id"]][3] is False
            self.grants[part["grant_id"]][2] += part["amount"]
        for part in answer["regranted"]:
            assert self.grants[part["source_grant_id"]][3] is True
            self.grants[part["grant_id"]] = [who, part["amount"], part["amount"], False]
        back = {part["grant_id"]: part["amount"] for part in answer["restored"]}
        back |= {part["source_grant_id"]: part["amount"] for part in answer["regranted"]}
        missing = amount
        for part in parts:  # in the order in which they were taken
            grant, taken, given = part
            given_now = min(taken - given, missing)
            assert back.pop(grant, 0) == given_now
            part[2] += given_now
            missing -= given_now
        assert (back, missing) == ({}, 0)
        assert (answer["cancelled"], answer["cancellable"]) == (amount, outstanding - amount)
        assert answer["balance"] == self.live(who)

    @rule(choice=st.integers(0, 50))
    def send_again(self, choice):
        if self.told:
            who, operation, request, more, before = self.told[choice % len(self.told)]
            again = self.run(getattr(self.members[who], operation)(*request, **more))
            assert (again.status, again.body, again.replayed) == (before.status, before.body, True)

    @rule(who=MEMBERS, choice=st.integers(0, 50))
    def cancel_earn(self, who, choice):
        if not self.grants:
            return
        grant = sorted(self.grants)[choice % len(self.grants)]
        owner, amount, left, expired = self.grants[grant]
        status, _ = self.send(who, "cancel_earn", grant)
        allowed = owner == who and left == amount and not expired
        assert status == (201 if allowed else 409 if owner == who else 404)
        if allowed:
            self.grants[grant][2] = 0

    @rule(choice=st.integers(0, 50))
    def let_a_grant_expire(self, choice):
        if self.grants:
            grant = sorted(self.grants)[choice % len(self.grants)]
            if not self.grants[grant][3]:
                self.master.expire(grant)
                self.grants[grant][3] = True

    @rule()
    def run_the_expiry_job(self):
        self.run(expire_due(self.pod.database))

    @invariant()
    def the_balances_are_the_live_points_and_everything_adds_up(self):
        for who, member in enumerate(self.members):
            assert self.run(member.balance()) == self.live(who)
        assert self.master.broken() == {}

    @invariant()
    def every_orders_trace_sums_up(self):
        for (who, order), parts in self.orders.items():
            member = self.members[who]
            trace = self.run(member.views.order(member.member_id, f"{self.prefix}-{order}"))
            assert [[part.grant_id, part.amount, part.cancelled] for part in trace.allocations] == parts
            assert trace.used == sum(taken for _, taken, _ in parts)
            assert trace.cancelled == sum(given for _, _, given in parts)
            assert trace.cancellable == trace.used - trace.cancelled

    def teardown(self):
        """At the end of a story its grants and its history say the same as well."""
        for who, member in enumerate(self.members):
            page = self.run(member.views.grants(member.member_id, MAX_ID, 1000, False))
            mine = {grant: held for grant, held in self.grants.items() if held[0] == who}
            shown = {grant.grant_id: [grant.amount, grant.remaining, grant.expired] for grant in page.grants}
            assert shown == {
                grant: [amount, 0 if expired else left, expired]
                for grant, (_, amount, left, expired) in mine.items()
            }
            entries = self.run(member.views.history(member.member_id, MAX_ID, 1000)).entries
            due = sum(left for _, _, left, expired in mine.values() if expired) + sum(
                entry.amount for entry in entries if entry.kind == "EXPIRE"
            )
            assert sum(entry.amount for entry in entries) == self.live(who) + due


def test_the_ledger_adds_up_after_every_step(pod, member_of, master):
    with asyncio.Runner() as loop:
        running = pod(cached=False)
        given = {
            "pod": loop.run(running.__aenter__()),
            "member_of": member_of,
            "master": master,
            "loop": loop,
        }
        try:
            run_state_machine_as_test(
                type("Story", (Story,), given),
                settings=settings(
                    max_examples=15,
                    stateful_step_count=25,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            loop.run(running.__aexit__(None, None, None))
