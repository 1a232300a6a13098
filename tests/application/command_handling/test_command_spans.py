"""Each command and each commit has a span, if traces are on."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from application.command_handling.requests import Request
from domain.execution.commands import Command, StartChild
from domain.execution.events import Started
from domain.identifiers import child_id
from domain.refusals import RefusalCode
from tests.application.server_process import (
    ServerProcess,
    accepted,
    claim,
    complete,
    refused,
    request_of,
    step,
    until,
)
from tests.domain.people import ENGINE
from tests.support.spans import Spans, server_spans, traceparent

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"


@pytest.fixture
def spans() -> Iterator[Spans]:
    with server_spans() as found:
        yield found


def traced(command: Command, trace: str) -> Request:
    request = request_of(command)
    return Request(command=command, command_id=request.command_id, trace=trace)


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else traceparent(span.parent)


def links_of(span: ReadableSpan) -> list[str]:
    return [traceparent(link.context) for link in span.links]


async def test_a_command_goes_on_with_the_trace_of_its_caller(
    process: ServerProcess, spans: Spans
) -> None:
    execution = await process.start()
    request = traced(step(execution.id, "book"), TRACE)
    [outcome] = await process.writer.handle([request])
    [span] = spans.named("command RecordStep")
    assert parent_of(span) == TRACE
    assert span.kind is SpanKind.SERVER
    assert dict(span.attributes or {}) == {
        "placet.command": "RecordStep",
        "placet.command.id": str(request.command_id),
        "placet.execution.id": str(execution.id),
        "placet.outcome": "accepted",
        "placet.position": accepted(outcome).position,
    }
    [_, commit] = spans.named("commit")
    assert parent_of(commit) == traceparent(span.context)
    assert (commit.attributes or {})["db.system.name"] == "postgresql"


async def test_the_events_record_the_span_of_their_command(
    process: ServerProcess, spans: Spans
) -> None:
    execution = await process.start()
    [span] = spans.named("command StartExecution")
    [event] = await process.reader.history(execution.id)
    assert event.recorded.trace == traceparent(span.context)
    assert span.parent is None


async def test_a_refusal_is_no_fault(process: ServerProcess, spans: Spans) -> None:
    execution = await process.start()
    await process.do(complete(execution.id))
    [outcome] = await process.send(claim(execution.id))
    refused(outcome, RefusalCode.INVALID_TRANSITION)
    [span] = spans.named("command ClaimExecution")
    assert (span.attributes or {})["error.type"] == "INVALID_TRANSITION"
    assert span.status.status_code is StatusCode.UNSET


async def test_commands_of_one_commit_name_it_and_it_names_them(
    process: ServerProcess, spans: Spans
) -> None:
    one, two = await process.start(), await process.start()
    before = len(spans.named("commit"))
    await process.writer.handle(
        [traced(step(one.id, "a"), TRACE), traced(step(two.id, "a"), OTHER)]
    )
    first, second = spans.named("command RecordStep")
    [commit] = spans.named("commit")[before:]
    assert parent_of(commit) == traceparent(first.context)
    assert links_of(commit) == [traceparent(second.context)]
    assert links_of(second) == [traceparent(commit.context)]
    assert links_of(first) == []


async def test_a_commit_has_a_span_if_one_of_its_commands_has(
    process: ServerProcess, spans: Spans
) -> None:
    """The caller of the first command does not record its trace."""
    one, two = await process.start(), await process.start()
    before = len(spans.named("commit"))
    await process.writer.handle(
        [traced(step(one.id, "a"), TRACE[:-2] + "00"), traced(step(two.id, "a"), OTHER)]
    )
    [second] = spans.named("command RecordStep")
    [commit] = spans.named("commit")[before:]
    assert parent_of(commit) == traceparent(second.context)


async def test_a_child_goes_on_with_the_trace_of_the_command_that_asked_for_it(
    process: ServerProcess, spans: Spans
) -> None:
    parent = await process.start()
    await process.do(
        StartChild(by=ENGINE, execution_id=parent.id, key="k", workflow="w", queue="default")
    )
    [started] = await process.until(child_id(parent.id, "k", 1), Started)
    [asked] = spans.named("command StartChild")
    # It ends after its event can be seen.
    await until(lambda: len(spans.named("command StartExecution")) > 1)
    of_child = spans.named("command StartExecution")[-1]
    assert of_child.kind is SpanKind.INTERNAL
    assert parent_of(of_child) == traceparent(asked.context)
    assert started.trace == traceparent(of_child.context)


async def test_what_is_not_carried_out_ends_its_spans_as_failed(log_url: str, spans: Spans) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        process.damage(execution.id)
        async with ServerProcess.open(log_url) as fresh:
            await fresh.send(step(execution.id, "secret"))
    [span] = spans.named("command RecordStep")
    assert span.status.status_code is StatusCode.ERROR
    assert "secret" not in span.to_json()


async def test_without_a_provider_no_span_is_made(process: ServerProcess) -> None:
    with server_spans() as spans:
        pass
    execution = await process.start()
    [event] = await process.reader.history(execution.id)
    assert event.recorded.trace is None
    assert spans.all() == ()
