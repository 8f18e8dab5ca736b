"""The ledger adds up after every step of every story Hypothesis can make up."""

import asyncio
import json
import uuid

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from point_service.domain import GrantKind
from point_service.upkeep import expire_due

pytestmark = pytest.mark.integration

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

    def run(self, work):
        return self.loop.run(work)

    def live(self, member):
        return sum(
            left for owner, _, left, expired in self.grants.values() if owner == member and not expired
        )

    @rule(who=MEMBERS, amount=AMOUNTS, days=st.integers(1, 1824), kind=st.sampled_from(GrantKind))
    def earn(self, who, amount, days, kind):
        answer = json.loads(self.run(self.members[who].earn(amount, days=days, kind=kind)).body)
        self.grants[answer["grant_id"]] = [who, amount, amount, False]
        assert answer["balance"] == self.live(who)

    @rule(who=MEMBERS, order=ORDERS, amount=AMOUNTS)
    def use(self, who, order, amount):
        outcome = self.run(self.members[who].use(amount, f"{self.prefix}-{order}"))
        answer = json.loads(outcome.body)
        if outcome.status == 201:
            for part in answer["allocations"]:
                owner, _, left, expired = self.grants[part["grant_id"]]
                assert (owner, expired) == (who, False)
                assert part["amount"] <= left
                self.grants[part["grant_id"]][2] -= part["amount"]
            assert answer["balance"] == self.live(who)
        elif answer["type"].endswith("insufficient-points"):
            assert answer["balance"] == self.live(who) < amount

    @rule(who=MEMBERS, order=ORDERS, amount=AMOUNTS)
    def cancel_use(self, who, order, amount):
        outcome = self.run(self.members[who].cancel_use(amount, f"{self.prefix}-{order}"))
        if outcome.status != 201:
            return
        answer = json.loads(outcome.body)
        for part in answer["restored"]:
            assert self.grants[part["grant_id"]][3] is False
            self.grants[part["grant_id"]][2] += part["amount"]
        for part in answer["regranted"]:
            assert self.grants[part["source_grant_id"]][3] is True
            self.grants[part["grant_id"]] = [who, part["amount"], part["amount"], False]
        given = sum(part["amount"] for part in answer["restored"] + answer["regranted"])
        assert given == answer["cancelled"] == amount
        assert answer["balance"] == self.live(who)

    @rule(who=MEMBERS, choice=st.integers(0, 50))
    def cancel_earn(self, who, choice):
        if not self.grants:
            return
        grant = sorted(self.grants)[choice % len(self.grants)]
        owner, amount, left, expired = self.grants[grant]
        outcome = self.run(self.members[who].cancel_earn(grant))
        allowed = owner == who and left == amount and not expired
        assert (outcome.status == 201) == allowed
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
