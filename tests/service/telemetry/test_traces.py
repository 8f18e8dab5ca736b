"""Traces: what arrives at a receiver of OTLP over HTTP, and that nothing is there when they are off."""

import asyncio
import json
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from point_local.alone import serve, servers

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Receiver(ThreadingHTTPServer):
    """Takes spans as a collector does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((servers.HOST, 0), Handler)
        self.spans = []
        self.resource = {}
        self.url = f"http://{servers.HOST}:{self.server_address[1]}"

    def of_trace(self, trace):
        return {span.name: span for span in self.spans if span.trace_id.hex() == trace}


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.server.resource = attributes(group.resource)
                self.server.spans += [span for scope in group.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def attributes(described):
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
        for pair in described.attributes
    }


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        yield receiver
        receiver.shutdown()


@pytest.fixture
def traced(database_server, redis, master, service, receiver):
    """A running `point-service serve` that sends its spans to the receiver every 50 ms."""
    del master
    variables = serve.environment(database_server, redis) | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "POINT_ZONE": "az-a",
    }
    with service(variables) as served:
        yield served


def send(served, member, path, body=None, *, trace=TRACE, sampled=True):
    headers = {
        "X-Member-Id": member,
        "X-Member-Role": "service",
        "Idempotency-Key": str(uuid.uuid4()),
        "traceparent": f"00-{trace}-{PARENT}-{'01' if sampled else '00'}",
    }
    url = f"{served.url}{path}"
    return (
        httpx.post(url, json=body, headers=headers) if body is not None else httpx.get(url, headers=headers)
    )


@pytest.mark.integration
@pytest.mark.parametrize("database_server", ["mysql"], indirect=True)
async def test_a_request_is_a_span_of_its_callers_trace_with_its_turn_and_its_transaction_in_it(
    traced, receiver, eventually
):
    member = f"m-{uuid.uuid4()}"
    assert send(traced, member, "/v1/points/earn", {"amount": 10}, trace="1" * 32).status_code == 201
    assert send(traced, member, "/v1/points/use", {"order_id": "o", "amount": 10}).status_code == 201
    assert send(traced, member, "/v1/points", trace="2" * 32).status_code == 200
    names = {"POST /v1/points/use", "lock", "shared transaction"}
    await eventually(lambda: receiver.of_trace(TRACE).keys() >= names)
    spans = receiver.of_trace(TRACE)
    assert spans.keys() == names
    request = spans.pop("POST /v1/points/use")
    assert (request.kind, request.parent_span_id.hex()) == (Span.SPAN_KIND_SERVER, PARENT)
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/v1/points/use",
        "http.response.status_code": 201,
    }
    for name, span in spans.items():
        assert (span.kind, span.parent_span_id) == (Span.SPAN_KIND_CLIENT, request.span_id), name
        assert request.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano, name
        assert span.end_time_unix_nano <= request.end_time_unix_nano, name
    # A member's first request goes alone, a read has no turn.
    await eventually(lambda: "transaction" in receiver.of_trace("1" * 32))
    await eventually(lambda: receiver.of_trace("2" * 32).keys() == {"GET /v1/points", "read"})
    assert receiver.resource["service.name"] == "point-service"
    assert receiver.resource["cloud.availability_zone"] == "az-a"
    assert not [span for span in receiver.spans if member in str(span)]


@pytest.mark.integration
@pytest.mark.parametrize("database_server", ["mysql"], indirect=True)
async def test_what_has_no_caller_gets_a_trace_of_its_own_which_its_log_line_names(
    traced, receiver, eventually
):
    headers = {"X-Member-Id": "m-1"}
    answer = await asyncio.to_thread(httpx.get, f"{traced.url}/v1/points/orders/nothing", headers=headers)
    assert answer.status_code == 404
    await eventually(lambda: any(span.name == "GET /v1/points/orders/{order_id}" for span in receiver.spans))
    [span] = [span for span in receiver.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert span.parent_span_id == b""
    assert span.status.code == Status.STATUS_CODE_UNSET
    _, logged = traced.end()
    lines = [json.loads(line) for line in logged.splitlines()]
    [line] = [line for line in lines if line["message"] == "request"]
    assert line["trace_id"] == span.trace_id.hex()


@pytest.mark.integration
@pytest.mark.parametrize("database_server", ["mysql"], indirect=True)
def test_a_trace_its_caller_does_not_sample_is_not_sent_and_neither_is_a_probe(traced, receiver):
    assert send(traced, "m-1", "/v1/points", sampled=False).status_code == 200
    assert httpx.get(f"{traced.url}/healthz").status_code == 200
    traced.end()
    assert receiver.spans == []


@pytest.mark.integration
@pytest.mark.parametrize("database_server", ["mysql"], indirect=True)
def test_a_receiver_that_is_not_there_costs_no_answer(traced, receiver):
    receiver.server_close()
    member = f"m-{uuid.uuid4()}"
    assert send(traced, member, "/v1/points/earn", {"amount": 10}).status_code == 201
    status, _ = traced.end()
    assert status == 0


def test_nothing_that_makes_or_sends_spans_is_loaded_while_traces_are_off():
    program = (
        "import sys, point_service.http.serve, point_service.telemetry.traces as traces\n"
        "with traces.request('GET', {}), traces.span('read', 'mysql'): traces.answered('GET', '/', 200)\n"
        "sys.exit(any(name.startswith(('opentelemetry.sdk.trace', 'opentelemetry.exporter')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 0
