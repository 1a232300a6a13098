"""The spans of one execution at its worker, by OpenTelemetry.

A run is what the worker does without a break: from the claim, or from an event that wakes the
workflow, until the workflow waits again or ends. Its span is the root of a trace, with links to
what caused it: the command that started the execution, or the decision or other command that woke
it, and the run before. The attempts of steps are its children, and so are the commands that it
sends.
"""

from contextlib import AbstractContextManager, nullcontext
from contextvars import Context, copy_context
from typing import TYPE_CHECKING

from placet._util.tracing import span_context, tracer
from placet.engine.pending import PendingStep

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext, Tracer

    from placet.models.responses import Execution


WAITING = "waiting"
RELEASED = "released"
FAILED = "failed"


class RunSpans:
    """Makes the spans of the runs of an execution. Does nothing in a program without spans."""

    __slots__ = ("_before", "_error", "_execution", "_how", "_span", "_tracer")

    def __init__(self, execution: "Execution") -> None:
        self._execution = execution
        self._tracer: Tracer | None = tracer()
        self._span: Span | None = None
        self._before: SpanContext | None = None
        self._how = RELEASED
        self._error: BaseException | None = None

    @property
    def on(self) -> bool:
        """Whether this program makes spans."""
        return self._tracer is not None

    def begin(self, cause: str | None) -> None:
        """Begin a run, or note another cause of the one that goes on. ``cause``: a traceparent."""
        if self._tracer is None:
            return
        from opentelemetry.context import Context as NoParent  # noqa: PLC0415 - see tracing
        from opentelemetry.trace import Link, SpanKind  # noqa: PLC0415

        caused_by = span_context(cause)
        if self._span is not None:
            if caused_by is not None:
                self._span.add_link(caused_by)
            return
        execution = self._execution
        attributes = {
            "placet.execution.id": execution.id,
            "placet.workflow": execution.workflow,
            "placet.queue": execution.queue,
        }
        if execution.workflow_version is not None:
            attributes["placet.workflow.version"] = execution.workflow_version
        self._span = self._tracer.start_span(
            f"run {execution.workflow}",
            context=NoParent(),
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=[Link(each) for each in (caused_by, self._before) if each is not None],
        )

    def ends_as(self, how: str) -> None:
        """Note how the run will end, such as completed or failed."""
        self._how = how

    def failed(self, error: BaseException) -> None:
        """Note that the run will end with a fault that is not the workflow's."""
        self._error = error

    def end(self, how: str | None = None) -> None:
        """End the run, if one goes on. ``how``: how, if that was not noted."""
        span, self._span = self._span, None
        if span is None:
            return
        span.set_attribute("placet.run.end", how or self._how)
        if self._error is not None or self._how == FAILED:
            from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

            span.set_status(Status(StatusCode.ERROR))
            if self._error is not None:
                span.record_exception(self._error)
        span.end()
        self._before = span.get_span_context()

    def within(self, context: Context | None) -> Context | None:
        """Return a context for a task, in which the span of the run is the current one."""
        if self._span is None:
            return context
        from opentelemetry.context import attach  # noqa: PLC0415
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415

        context = copy_context() if context is None else context
        context.run(attach, set_span_in_context(self._span))
        return context


def attempt_span(pending: PendingStep, execution_id: str) -> AbstractContextManager["Span | None"]:
    """Return the span of an attempt of a step, which is the current one in its block.

    What the block raises is noted, unless it only ends the task.
    """
    made = tracer()
    if made is None:
        return nullcontext()
    attributes: dict[str, str | int] = {
        "placet.execution.id": execution_id,
        "placet.step.key": pending.key,
        "placet.step.attempt": pending.tried + 1,
    }
    if pending.clearance is not None:
        attributes["placet.approval.id"] = pending.clearance.approval.id
    return made.start_as_current_span(f"step {pending.name}", attributes=attributes)
