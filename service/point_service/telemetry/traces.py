"""Traces by OpenTelemetry: a span for each request, and in it one for each turn in Redis and each transaction.

Off until `start`; what makes and sends spans is not even imported then. They leave by OTLP over HTTP from a thread of
their own, and are dropped rather than waited for.
"""

import os
import threading
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from point_service import VERSION
from point_service.telemetry import logs

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

NAME = "point-service"
PARENT = ("traceparent", "tracestate")
LAST_SPANS = 2.0  # seconds at the end of the process for what is not sent yet

_provider: "TracerProvider | None" = None
_tracer: "Tracer | None" = None
_NOTHING: AbstractContextManager[Any] = nullcontext()


def start(endpoint: str, *, pod: str | None, zone: str | None) -> None:
    """Send spans to `endpoint`, the base URL of an OTLP receiver.

    Headers, timeout, certificates, sampling and the queue are those of the standard OTEL_* variables.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    global _provider, _tracer
    here = {"service.name": os.environ.get("OTEL_SERVICE_NAME", NAME), "service.version": VERSION}
    here |= {"k8s.pod.name": pod} if pod is not None else {}
    here |= {"cloud.availability_zone": zone} if zone is not None else {}
    _provider = TracerProvider(resource=Resource.create(here), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = _provider.get_tracer(NAME)


def stop() -> None:
    """Send what is not sent yet, for a moment, and end."""
    global _provider, _tracer
    if _provider is None:
        return
    sending = threading.Thread(target=_provider.shutdown, daemon=True)
    _provider = _tracer = None
    sending.start()
    sending.join(LAST_SPANS)


def span(name: str, system: str) -> AbstractContextManager[Any]:
    """Return a span of a call to `system` within a request; nothing when traces are off or there is no request."""
    if _tracer is None:
        return _NOTHING
    return _call(_tracer, name, system)


def request(method: str, headers: Mapping[bytes, bytes]) -> AbstractContextManager[Any]:
    """Return the span of a request, joined to the caller's traceparent; nothing when traces are off."""
    if _tracer is None:
        return _NOTHING
    return _request(_tracer, method, headers)


def answered(method: str, route: str, status: int) -> None:
    """Say on the request's span which route it took and how it was answered."""
    if _tracer is None:
        return
    from opentelemetry.trace import StatusCode, get_current_span

    current = get_current_span()
    current.update_name(f"{method} {route}")
    current.set_attributes({"http.route": route, "http.response.status_code": status})
    if status >= 500:
        current.set_status(StatusCode.ERROR)


@contextmanager
def _call(tracer: "Tracer", name: str, system: str) -> Generator[None]:
    from opentelemetry.trace import SpanKind, StatusCode, get_current_span

    if not get_current_span().is_recording():
        yield
        return
    attributes = {"db.system.name": system}
    # An exception's own words may quote a value, and would be an event of the span.
    with tracer.start_as_current_span(
        name,
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as call:
        try:
            yield
        except Exception as error:
            call.set_status(StatusCode.ERROR, logs.told(error))
            raise


@contextmanager
def _request(tracer: "Tracer", method: str, headers: Mapping[bytes, bytes]) -> Generator[None]:
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {name: headers[name.encode()].decode("latin-1") for name in PARENT if name.encode() in headers}
    parent = TraceContextTextMapPropagator().extract(carrier)
    attributes = {"http.request.method": method}
    with tracer.start_as_current_span(
        method,
        parent,
        SpanKind.SERVER,
        attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        logs.TRACE_ID.set(f"{current.get_span_context().trace_id:032x}")
        yield
