"""How many requests a trial's pods had, from what their proxies say."""

import asyncio

from point_operator.observe import traffic
from point_operator.observe.workload import Counts

TEXT = """\
# TYPE envoy_http_downstream_rq counter
envoy_http_downstream_rq{response_code_class="2xx",http_conn_manager_prefix="inbound_0.0.0.0_8080"} 90
envoy_http_downstream_rq{response_code_class="4xx",http_conn_manager_prefix="inbound_0.0.0.0_8080"} 6
envoy_http_downstream_rq{response_code_class="5xx",http_conn_manager_prefix="inbound_0.0.0.0_8080"} 4
envoy_http_downstream_rq{response_code_class="5xx",http_conn_manager_prefix="outbound_0.0.0.0_80"} 1000
# TYPE envoy_http_downstream_rq_completed counter
envoy_http_downstream_rq_completed{http_conn_manager_prefix="inbound_0.0.0.0_8080"} 100
envoy_http_downstream_rq_completed{http_conn_manager_prefix="outbound_0.0.0.0_80"} 1000
# TYPE envoy_http_downstream_rq_rx_reset counter
envoy_http_downstream_rq_rx_reset{http_conn_manager_prefix="inbound_0.0.0.0_8080"} 3
# TYPE point_requests_total counter
point_requests_total{route="/v1/points",status="500"} 77
"""


def test_requests_are_those_answered_and_those_given_up() -> None:
    assert traffic.parse(TEXT) == Counts(requests=103, errors=7)


def test_a_proxy_that_has_seen_nothing_yet_counts_nothing() -> None:
    assert traffic.parse("point_up 1\n") == Counts()


def test_what_has_no_address_can_not_be_counted() -> None:
    assert asyncio.run(traffic.count([])) is None
    assert asyncio.run(traffic.count([{"metadata": {"name": "p"}, "status": {}}])) is None
