"""The traces of OpenTelemetry, in programs that make any.

A program that makes spans has loaded OpenTelemetry. In all others nothing here does more than to
look whether it was loaded, so it need not be installed.
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext, Tracer

LIBRARY = "placet"
_MODULE = "opentelemetry.trace"


def tracer() -> "Tracer | None":
    """Return what makes spans, None in a program that makes none."""
    if _MODULE not in sys.modules:
        return None
    from opentelemetry import trace  # noqa: PLC0415 - it was loaded by somebody else

    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    return provider.get_tracer(LIBRARY)


def current_traceparent() -> str | None:
    """Return the current span as W3C Trace Context writes it, None if there is none."""
    if _MODULE not in sys.modules:
        return None
    from opentelemetry import trace  # noqa: PLC0415

    return traceparent_of(trace.get_current_span())


def traceparent_of(span: "Span") -> str | None:
    """Return the traceparent of a span, None for one that is invalid."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def span_context(traceparent: str | None) -> "SpanContext | None":
    """Read a traceparent, None for one that is missing or invalid."""
    if traceparent is None:
        return None
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415

    try:
        _, trace_id, span_id, flags = traceparent.split("-")
        context = SpanContext(
            int(trace_id, 16),
            int(span_id, 16),
            is_remote=True,
            trace_flags=TraceFlags(int(flags, 16)),
        )
    except ValueError:
        return None
    return context if context.is_valid else None
