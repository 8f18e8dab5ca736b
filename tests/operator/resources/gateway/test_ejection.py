"""Which answers count against a pod: what fails, and no refusal of what is too much."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import httpx
import pytest
from point_operator.model import api
from point_operator.resources.gateway import rate_limit
from point_operator.resources.mesh import destination_rule
from point_operator.resources.surroundings import Surroundings

pytestmark = pytest.mark.integration


def test_a_pod_that_refuses_stays_and_one_that_fails_is_left_out(
    point_service: api.PointService, run_gateway: Callable[..., AbstractContextManager[str]]
) -> None:
    filters = rate_limit.build(point_service, Surroundings(), destination_rule.patches(point_service))
    with run_gateway(point_service, filters) as url, httpx.Client(base_url=url) as client:

        def asked(times: int, **headers: str) -> list[httpx.Response]:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return [client.get("/", headers={"host": "other.localhost"} | named) for _ in range(times)]

        refused = asked(20, x_answer="503", x_refuse="yes")
        assert [one.headers.get("x-envoy-overloaded") for one in refused] == ["true"] * 20
        failed = asked(6, x_answer="500")
        assert [one.status_code for one in failed] == [500] * 5 + [503]
        assert [one.status_code for one in asked(1)] == [503], "nobody is left"
