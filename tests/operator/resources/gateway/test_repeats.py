"""Which requests the gateway sends again: reads, and any that no pod has had anything of."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import msgspec
import pytest
from point_operator.model import api, gateways
from point_operator.resources.gateway import rate_limit
from point_operator.resources.mesh import http_route
from point_operator.resources.surroundings import Surroundings

pytestmark = pytest.mark.integration

Client = Callable[..., AbstractContextManager[httpx.Client]]


@pytest.fixture
def client(
    point_service: api.PointService, run_gateway: Callable[..., AbstractContextManager[str]]
) -> Client:
    """A client of a gateway whose only route repeats as a rule of the HTTPRoute does, with one pod, and with another
    that is gone if asked for. Gateway API's patches are in Envoy's words; Istio makes the same of the VirtualService's.
    """
    gateway = msgspec.structs.replace(
        point_service.spec.gateway, parent_ref=gateways.ParentRef(name="shared", namespace="istio-ingress")
    )
    attached = msgspec.structs.replace(
        point_service, spec=msgspec.structs.replace(point_service.spec, gateway=gateway)
    )
    filters = rate_limit.build(point_service, Surroundings())

    @contextmanager
    def with_rule(rule: int, *, gone: bool = False) -> Iterator[httpx.Client]:
        patch: dict[str, Any] = http_route.patches(attached)[rule]["patch"]["value"]
        retries = patch["route"]["retry_policy"]
        with (
            run_gateway(point_service, filters, retries=retries, dead=gone) as url,
            httpx.Client(base_url=url, headers={"host": "other.localhost"}) as made,
        ):
            yield made

    return with_rule


@pytest.mark.parametrize("rule", [http_route.READ, http_route.WRITE])
def test_what_a_pod_that_is_gone_never_had_goes_to_another(
    client: Client, rule: int, seen: list[str]
) -> None:
    with client(rule, gone=True) as made:
        answers = [made.post("/", headers={"x-name": f"r-{one}"}) for one in range(20)]
    assert [one.status_code for one in answers] == [200] * 20
    assert seen == [f"r-{one}" for one in range(20)]


def test_what_a_pod_may_have_is_repeated_if_it_is_a_read_alone(client: Client, seen: list[str]) -> None:
    for rule in (http_route.READ, http_route.WRITE):
        with client(rule) as made:
            answer = made.post("/", headers={"x-name": f"rule-{rule}", "x-hang-up": "yes"})
        assert answer.status_code == 503
    assert seen.count(f"rule-{http_route.WRITE}") == 1
    assert seen.count(f"rule-{http_route.READ}") == 3
