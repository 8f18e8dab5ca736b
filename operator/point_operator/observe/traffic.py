"""What the pods of a canary have answered, as their own proxies count it.

Read from the pods themselves, at the port at which Prometheus reads them too: that takes no right at the API
server, no Prometheus, and no metric that the new image would have to have.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from point_operator.observe.workload import Counts
from point_operator.resources.watching.service_monitor import MERGED_PORT

log = logging.getLogger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=2.0)

ANSWERED = "envoy_http_downstream_rq_completed"
BY_CLASS = "envoy_http_downstream_rq"
GIVEN_UP = "envoy_http_downstream_rq_rx_reset"
"""Requests that the gateway stopped waiting for."""
INBOUND = 'http_conn_manager_prefix="inbound_'


async def count(pods: Sequence[Mapping[str, Any]]) -> dict[str, Counts] | None:
    """Return what each pod has counted, by its name; None when there is none or one can't be asked.

    A pod that has no address yet has counted nothing.
    """
    addresses = {pod["metadata"]["name"]: pod.get("status", {}).get("podIP") for pod in pods}
    asked = {name: str(address) for name, address in addresses.items() if address}
    if not asked:
        return None
    async with aiohttp.ClientSession(timeout=TIMEOUT) as client:
        try:
            texts = await asyncio.gather(*(_read(client, address) for address in asked.values()))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("can't count a trial's requests: %s", type(error).__name__)
            return None
    return {name: parse(text) for name, text in zip(asked, texts, strict=True)}


def parse(text: str) -> Counts:
    """Read what one pod's proxy counted of the requests that came in; names and labels are Istio's."""
    answered = failed = given_up = 0
    inbound = "".join(f"{line}\n" for line in text.splitlines() if INBOUND in line)
    for family in text_string_to_metric_families(inbound):
        for sample in family.samples:
            if sample.name == ANSWERED:
                answered += int(sample.value)
            elif sample.name == GIVEN_UP:
                given_up += int(sample.value)
            elif sample.name == BY_CLASS and sample.labels.get("response_code_class") == "5xx":
                failed += int(sample.value)
    return Counts(answered + given_up, failed + given_up)


async def _read(client: aiohttp.ClientSession, address: str) -> str:
    url = URL.build(scheme="http", host=address, port=MERGED_PORT, path="/stats/prometheus")
    async with client.get(url) as answer:
        answer.raise_for_status()
        return await answer.text()
