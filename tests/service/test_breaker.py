"""When something that may be away is left alone for a while."""

from point_service.breaker import Breaker


def test_the_breaker_opens_at_the_third_failure_and_lets_one_caller_through_after_its_pause(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("point_service.breaker.time.monotonic", lambda: now[0])
    breaker = Breaker()
    breaker.failed()
    breaker.failed()
    assert breaker.permits()
    breaker.failed()
    assert not breaker.permits()
    now[0] += 1
    assert [breaker.permits(), breaker.permits()] == [True, False]
    breaker.succeeded()
    assert breaker.permits()
