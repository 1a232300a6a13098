"""Makes spans by OpenTelemetry.

None is made before :meth:`Tracing.use` is called. Until then those who make spans only look at
``on``, so that a server without traces does nothing for them.
"""

from collections.abc import Iterable, Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

VERSION = "00"
"""The version of W3C Trace Context that is written."""
LIBRARY = "placet"

Attributes = Mapping[str, str | int | bool]


class Tracing:
    """Makes spans once a provider is given. ``on``: whether there is one."""

    def __init__(self) -> None:
        self.on = False
        self._tracer: trace.Tracer = trace.NoOpTracer()

    def use(self, provider: trace.TracerProvider) -> None:
        """Make spans with this provider from now on."""
        self._tracer = provider.get_tracer(LIBRARY)
        self.on = True

    def stop(self) -> None:
        """Make no more spans."""
        self.on = False
        self._tracer = trace.NoOpTracer()

    def begin(
        self,
        name: str,
        *,
        parent: str | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        links: Iterable[str | None] = (),
    ) -> Span:
        """Begin a span. ``parent`` and ``links`` are traceparents; without a parent it is a root.

        The caller must end it.
        """
        found = [context for each in links if (context := span_context(each)) is not None]
        return self._tracer.start_span(
            name,
            context=_as_parent(parent),
            kind=kind,
            attributes=attributes,
            links=[Link(context) for context in found],
        )


tracing = Tracing()
"""That of this process."""


def span_context(traceparent: str | None) -> SpanContext | None:
    """Read a traceparent; None for one that is missing or invalid (W3C Trace Context, 3.2)."""
    if traceparent is None:
        return None
    try:
        version, trace_id, span_id, flags = traceparent.split("-")
        context = SpanContext(
            int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=_flags(flags)
        )
    except ValueError:
        return None
    return context if context.is_valid and version != "ff" else None


def traceparent_of(span: Span) -> str:
    """Return the traceparent of a span."""
    context = span.get_span_context()
    return f"{VERSION}-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def fail(span: Span, error: BaseException) -> None:
    """Note that what the span is about failed with this error.

    The text of the error may quote what people sent, so it is in the log of the server only.
    """
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR))


def _as_parent(traceparent: str | None) -> Context:
    context = span_context(traceparent)
    # An empty context, so that a span that happens to be current does not become the parent.
    empty = Context()
    if context is None:
        return empty
    return trace.set_span_in_context(NonRecordingSpan(context), empty)


def _flags(text: str) -> TraceFlags:
    return TraceFlags(int(text, 16))
