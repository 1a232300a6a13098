"""Sends traces by OTLP, if the variables of OpenTelemetry say where to.

The variables are those of the OpenTelemetry specification ("Environment Variable Specification" and
"OpenTelemetry Protocol Exporter"); the libraries of the extra ``otel`` read most of them.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version

import structlog
from opentelemetry import trace

from api.settings import ConfigurationError
from application.tracing import tracing

_log = structlog.get_logger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTER = "OTEL_TRACES_EXPORTER"
DISABLED = "OTEL_SDK_DISABLED"
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HTTP = "http/protobuf"
SERVICE = "placet-server"
LAST_SECONDS = 5.0
"""For the spans that have not been sent when the server ends."""


@contextmanager
def traces(environment: Mapping[str, str]) -> Iterator[None]:
    """Make spans and send them until the end of the block, if the environment asks for it.

    If another program has set a provider of spans, such as ``opentelemetry-instrument``, that one
    is used. Raises ConfigurationError for a variable that can't be followed.
    """
    provider = trace.get_tracer_provider()
    if not isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        tracing.use(provider)
        yield
        return
    if not wanted(environment):
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        # Platforms set these variables for all programs alike, so it is no reason not to start.
        _log.warning(
            "traces_not_sent", reason="install the extra: pip install 'placet-server[otel]'"
        )
        yield
        return
    resource = Resource.create({"service.version": version(SERVICE)})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": SERVICE}))
    sdk = TracerProvider(resource=resource, shutdown_on_exit=False)
    # Spans wait in a queue of limited length and are sent by a thread. Beyond it they are dropped.
    sdk.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracing.use(sdk)
    try:
        yield
    finally:
        tracing.stop()
        # A collector that does not answer must not keep the server from ending.
        last = threading.Thread(target=sdk.shutdown, name="placet-last-spans", daemon=True)
        last.start()
        last.join(LAST_SECONDS)


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether traces are to be sent by OTLP.

    Raises ConfigurationError for a protocol or an exporter that is not known.
    """

    def value(name: str) -> str:
        return environment.get(name, "").strip()

    if value(DISABLED).lower() == "true":
        return False
    exporter = value(EXPORTER).lower()
    if exporter == "none" or not (exporter or any(map(value, ENDPOINTS))):
        return False
    if exporter not in {"", "otlp"}:
        msg = f"{EXPORTER} is {exporter!r}; it can be otlp or none"
        raise ConfigurationError(msg)
    protocol = next((name for name in PROTOCOLS if value(name)), None)
    if protocol is not None and value(protocol) != HTTP:
        msg = f"{protocol} is {value(protocol)!r}; only {HTTP} is supported"
        raise ConfigurationError(msg)
    return True
