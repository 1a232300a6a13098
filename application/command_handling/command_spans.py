"""The spans of commands and of commits.

The span of a command begins when it is queued and ends with its answer. Its parent is the trace
that the caller sent. The events of the command record the traceparent of this span, so that whoever
acts on such an event later can link to the command that caused it.

The span of a commit is a child of the first command in it whose trace is recorded, and has links to
the others. Those name it too, unless they are in its trace.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace
from opentelemetry.trace import Span, SpanKind

from application.command_handling.outcomes import Accepted, Outcome, Refused
from application.command_handling.requests import Request, RequestGroup
from application.tracing import fail, traceparent_of, tracing


class CommandSpans:
    """The spans of requests that are sent together. ``requests`` name them as their traces."""

    __slots__ = ("_open", "_spans", "requests")

    def __init__(self, requests: Sequence[Request]) -> None:
        self._spans = [_begun(request) for request in requests]
        self._open = True
        self.requests = [
            replace(request, trace=traceparent_of(span))
            for request, span in zip(requests, self._spans, strict=True)
        ]

    def end(self, outcomes: Sequence[Outcome]) -> None:
        """End the spans, unless they have ended.

        A refusal is an answer and no fault, so the status of its span stays unset.
        """
        if not self._open:
            return
        self._open = False
        for span, outcome in zip(self._spans, outcomes, strict=True):
            span.set_attribute("placet.outcome", outcome_name(outcome))
            match outcome:
                case Accepted(position=position):
                    span.set_attribute("placet.position", position)
                case Refused(code=code):
                    span.set_attribute("error.type", code.value)
                case error:
                    fail(span, error)
            span.end()

    @property
    def open_spans(self) -> Sequence[Span]:
        """The spans that have not ended."""
        return self._spans if self._open else ()


def begin_commit(groups: Sequence[RequestGroup]) -> Span:
    """Begin the span of a commit of these groups."""
    commands = [span for group in groups if group.spans for span in group.spans.open_spans]
    # The first whose trace is recorded: the span of a commit below one that is not would be lost.
    commands.sort(key=lambda span: not span.get_span_context().trace_flags.sampled)
    traces = [traceparent_of(span) for span in commands]
    commit = tracing.begin(
        "commit",
        parent=traces[0] if traces else None,
        kind=SpanKind.CLIENT,
        attributes={
            "db.system.name": "postgresql",
            "placet.commands": sum(len(group.requests) for group in groups),
        },
        links=traces[1:],
    )
    context = commit.get_span_context()
    for span in commands:
        if span.get_span_context().trace_id != context.trace_id:
            span.add_link(context)
    return commit


def end_commit(commit: Span, answers: Iterable[Sequence[Outcome]]) -> None:
    """End the span of a commit. It failed if one of the commands did."""
    faults = [one for outcomes in answers for one in outcomes if isinstance(one, Exception)]
    if faults:
        fail(commit, faults[0])
    commit.end()


def outcome_name(outcome: Outcome) -> str:
    """Return the name of an outcome, as metrics and spans have it."""
    match outcome:
        case Accepted():
            return "repeated" if outcome.repeated else "accepted"
        case Refused():
            return "refused"
        case _:
            return "failed"


def _begun(request: Request) -> Span:
    command = type(request.command).__name__
    return tracing.begin(
        f"command {command}",
        parent=request.trace,
        # What a process manager sends was caused by an event, and not by a call.
        kind=SpanKind.SERVER if request.causation_id is None else SpanKind.INTERNAL,
        attributes={
            "placet.command": command,
            "placet.command.id": str(request.command_id),
            "placet.execution.id": str(request.command.execution_id),
        },
    )
