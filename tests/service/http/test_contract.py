"""The service does what its OpenAPI description says, whatever is sent that the description allows or forbids."""

import uuid

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from point_local.alone import serve
from point_service.http import openapi
from schemathesis.checks import positive_data_acceptance

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("database_server", ["mysql"], indirect=True),
]


def as_clients_see_it():
    """Return the description without the headers that the gateway sets: no client can send them."""
    document = openapi.document()
    gateways = [
        {"$ref": f"#/components/parameters/{name}"}
        for name in ("X-Member-Id", "X-Member-Role", "X-Client-Id")
    ]
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["parameters"] = [each for each in operation["parameters"] if each not in gateways]
    return document


API = schemathesis.openapi.from_dict(as_clients_see_it())


@pytest.fixture(scope="module")
def served(database_server, redis_server, service):
    with service(serve.environment(database_server, redis_server) | {"POINT_LOG_LEVEL": "ERROR"}) as served:
        yield served


@API.parametrize()
@settings(
    max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
def test_no_request_gets_an_answer_that_is_not_described(case, served):
    sound = case.meta.generation.mode.is_positive
    headers = {"X-Member-Id": "m-fuzz", "X-Member-Role": "admin"}
    if sound and case.method == "POST":
        headers["Idempotency-Key"] = str(
            uuid.uuid4()
        )  # made-up keys are alike, and a key is good for one request
    # How much may be earned at once is the shop's policy, and a JSON Schema takes 5.0 for an integer.
    floats = isinstance(case.body, dict) and any(isinstance(value, float) for value in case.body.values())
    # A pattern doesn't know the days of a month, nor that `from` must not be after `to`.
    moments = {"from", "to"} & set(case.query or ())
    stricter = floats or moments or case.path.endswith("/earn")
    case.call_and_validate(
        base_url=served.url, headers=headers, excluded_checks=[positive_data_acceptance] if stricter else []
    )
