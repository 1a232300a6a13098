"""Sends the spans of this program by OTLP, if the variables of OpenTelemetry say where to."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

log = logging.getLogger("placet.engine")

VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
EXPORTER = "OTEL_TRACES_EXPORTER"
SERVICE = "placet-engine"
LAST_SECONDS = 5.0
"""For the spans that have not been sent at the end."""


def wanted() -> bool:
    """Whether the environment asks for traces by OTLP."""
    exporter = os.environ.get(EXPORTER, "").strip().lower()
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if exporter:
        return exporter == "otlp"
    return any(os.environ.get(name, "").strip() for name in VARIABLES)


@asynccontextmanager
async def exporting() -> AsyncIterator[None]:
    """Make spans and send them until the end of the block, if the environment asks for it.

    A provider that the program has set itself stays.
    """
    if not wanted():
        yield
        return
    try:
        from opentelemetry import trace  # noqa: PLC0415 - an optional extra
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        log.warning("traces are not sent: install the extra, pip install 'placet[otel]'")
        yield
        return
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        yield
        return
    resource = Resource.create({"service.version": version("placet")})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": SERVICE}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        # A collector that does not answer must not keep the program from ending.
        last = threading.Thread(target=provider.shutdown, name="placet-last-spans", daemon=True)
        last.start()
        await asyncio.to_thread(partial(last.join, LAST_SECONDS))
