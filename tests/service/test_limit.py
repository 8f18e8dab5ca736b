"""The limit of what is under way, on a simulated server: goodput under overload, and what is left of it afterwards."""

import heapq
import itertools
import random
import statistics
from collections import deque
from typing import NamedTuple

import pytest
from point_service.limit import MOST, TOLERANCE, Limit

BATCH = 32  # requests in one transaction
PATIENCE = 1.0  # seconds after which an answer is of no use
REFUSAL = 0.0001  # seconds of the server's only core


class Unlimited(Limit):
    """Lets everybody in."""

    def enter(self):
        self.under_way += 1
        return True


class Answer(NamedTuple):
    """When a request came, and how long it took."""

    came: float
    seconds: float


class Server:
    """A core that reads, decides and answers, and a database that commits one batch at a time.

    A request costs `cpu` seconds of the core, a batch `commit` seconds and `row` more for each request in it.
    """

    def __init__(self, limit, *, cpu=0.001, commit=0.01, row=0.0002):
        self.limit, self.cpu, self.commit, self.row = limit, cpu, commit, row
        self.core_free = 0.0
        self.waiting = deque()
        self.committing = False
        self.answers, self.refused = [], 0

    def run(self, rates):
        """Serve so many requests a second for so many seconds each, at random moments; return the server."""
        random.seed(17)
        events, order = [], itertools.count()
        now = 0.0
        for rate, seconds in rates:
            ends = now + seconds
            while (now := now + random.expovariate(rate)) < ends:
                heapq.heappush(events, (now, next(order), "comes", now))
            now = ends
        while events:
            now, _, what, request = heapq.heappop(events)
            if what == "comes":
                if not self.limit.enter():
                    self.refused += 1
                    self.core_free = max(self.core_free, now) + REFUSAL
                    continue
                self.core_free = max(self.core_free, now) + self.cpu
                came = (request, self.limit.among_few())
                heapq.heappush(events, (self.core_free, next(order), "read", came))
            elif what == "read":
                self.waiting.append(request)
            else:
                for came, among_few in request:
                    self.answers.append(Answer(came, now - came))
                    self.limit.leave(now, now - came, among_few=among_few)
                self.committing = False
            if self.waiting and not self.committing:
                batch = [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]
                self.committing = True
                ends = now + self.commit + self.row * len(batch)
                heapq.heappush(events, (ends, next(order), "committed", batch))
        return self

    def seconds(self, start, end):
        """The times of those that came then."""
        return [answer.seconds for answer in self.answers if start <= answer.came < end]

    def goodput(self, start, end):
        """Answers a second, in time, to those that came then."""
        return sum(one <= PATIENCE for one in self.seconds(start, end)) / (end - start)


def p99(seconds):
    return sorted(seconds)[int(0.99 * len(seconds))]


SERVERS = {
    "the core is the bottleneck": {},
    "the database is the bottleneck": {"cpu": 0.0003, "commit": 0.03},
    "a core that is slow": {"cpu": 0.008, "commit": 0.02},
    "a database that is slow": {"commit": 0.15},
}


def maximum(**kind):
    """What such a server can do."""
    kind = {"cpu": 0.001, "commit": 0.01, "row": 0.0002} | kind
    return min(1 / kind["cpu"], BATCH / (kind["commit"] + BATCH * kind["row"]))


@pytest.mark.parametrize("kind", SERVERS.values(), ids=SERVERS)
@pytest.mark.parametrize("times", [2, 4])
def test_what_is_offered_beyond_the_maximum_takes_nothing_of_it(kind, times):
    most = maximum(**kind)
    server = Server(Limit(0.5, 32), **kind).run([(most / 2, 6), (times * most, 6), (most / 2, 6)])
    spent = (times - 1) * most * REFUSAL  # a core that refuses does nothing else meanwhile
    assert server.goodput(7, 12) >= 0.9 * most * (1 - spent)
    assert p99(server.seconds(7, 12)) < max(4 * p99(server.seconds(1, 6)), 1.5 * server.limit.target)
    before, after = (statistics.median(server.seconds(*when)) for when in ((1, 6), (13, 18)))
    assert after < 1.2 * before


def test_without_a_limit_everybody_is_late():
    most = maximum()
    server = Server(Unlimited(0.5, 32)).run([(most / 2, 2), (2 * most, 8)])
    assert server.goodput(6, 10) < 0.1 * most


def test_half_of_the_maximum_is_never_refused():
    for kind in SERVERS.values():
        assert Server(Limit(0.5, 32), **kind).run([(maximum(**kind) / 2, 10)]).refused == 0


def test_an_overload_that_lasts_is_not_taken_for_the_usual():
    most = maximum()
    server = Server(Limit(0.5, 32)).run([(most / 2, 5), (2 * most, 40)])
    early, late = (statistics.median(server.seconds(*when)) for when in ((7, 15), (37, 45)))
    assert late < 1.2 * early


def test_who_is_flooded_from_the_start_finds_the_maximum_too():
    most = maximum()
    server = Server(Limit(0.1, 32)).run([(2 * most, 8)])
    assert server.goodput(2, 8) >= 0.9 * most * (1 - most * REFUSAL)
    assert statistics.median(server.seconds(2, 8)) < 0.15


def test_it_keeps_between_its_bounds():
    limit = Limit(0.1, 8)
    now = 0.0
    for seconds in [10.0] * 100:
        now += 1.0
        assert limit.enter()
        limit.leave(now, seconds)
    assert limit.most == 8
    for _ in range(200):
        now += 1.0
        while limit.enter():
            pass
        limit.under_way = 1
        limit.leave(now, 0.001)
    assert limit.most == MOST


def test_what_is_full_lets_nobody_in_until_one_has_left():
    limit = Limit(0.1, 1)
    while limit.enter():
        pass
    assert not limit.enter()
    limit.leave(0.0)
    assert (limit.enter(), limit.enter()) == (True, False)


def test_the_aim_is_learned_from_those_among_few_alone():
    limit = Limit(0.5, 8)
    assert limit.aim == 0.5
    for _ in range(200):
        limit.enter()
        limit.leave(0.0, 0.01, among_few=limit.among_few())
    assert limit.aim == pytest.approx(TOLERANCE * 0.01)
    for _ in range(200):
        limit.enter()
        limit.leave(0.0, 0.4, among_few=False)
    assert limit.aim == pytest.approx(TOLERANCE * 0.01)
