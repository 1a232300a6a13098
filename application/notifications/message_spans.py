"""The spans of messages: one for each try to deliver one, with a link to what caused it.

Names and attributes are those of OpenTelemetry's conventions for messaging, as far as they fit. The
recipient is not among them.
"""

from collections.abc import Sequence

from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.status import Status, StatusCode

from application.notifications.message import Message, MessageStatus
from application.notifications.outbox_table import Outcome
from application.tracing import tracing


def begin_message(message: Message, cause: str | None) -> Span:
    """Begin the span of a try. ``cause``: the traceparent of the event that it tells of."""
    attributes = {
        "messaging.system": message.channel,
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.message.id": str(message.id),
        "placet.message.kind": message.kind.value,
        "placet.message.tries": message.tries,
    }
    if message.execution_id is not None:
        attributes["placet.execution.id"] = str(message.execution_id)
    # Not its parent: the next try may be days later.
    return tracing.begin(
        f"send {message.channel}", kind=SpanKind.PRODUCER, attributes=attributes, links=[cause]
    )


def end_message(span: Span, message: Message, outcomes: Sequence[Outcome]) -> None:
    """End the span of a try. It failed if the message is to be tried again or is dead."""
    for outcome in outcomes:
        if outcome.id == message.id:
            span.set_attribute("placet.outcome", outcome.status.value.lower())
            tried_again = outcome.status is MessageStatus.WAITING and outcome.wait is not None
            if tried_again or outcome.status is MessageStatus.DEAD:
                span.set_status(Status(StatusCode.ERROR))
    span.end()
