"""Engines make spans if the program does, and clients pass the current one on."""

import json
from collections.abc import Awaitable, Iterator
from datetime import timedelta

import pytest
from aiohttp import web
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from placet import Client, Engine, Run, require
from tests.sdk.engines import Made, reading, started
from tests.sdk.peer import Peer
from tests.sdk.people import People, until
from tests.support.spans import Spans, traceparent

FINANCE = require(1, group="finance")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """The spans of this program, as if it had set a provider at its start."""
    found = Spans()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", found.provider)
    yield found
    found.provider.shutdown()


async def booking(run: Run) -> str:
    def ask_price() -> int:
        return 120

    async def book(euros: int) -> str:
        with trace.get_tracer("user").start_as_current_span("inside"):
            return f"booked for {euros}"

    price = await run.step(ask_price)
    clearance = await run.approval("Trip", payload=price, policy=FINANCE)
    return await run.step(book, clearance.payload, clearance=clearance)


async def traces_of(people: People, execution_id: str) -> dict[str, str | None]:
    """Return the traceparent of the first event of each type."""
    transcript = await (await people.get("operator")).queries.transcript(execution_id, traces=True)
    assert transcript is not None
    return {event.type: event.traceparent for event in reversed(transcript.events)}


def links_of(span: ReadableSpan) -> set[str]:
    return {traceparent(link.context) for link in span.links}


def parent_of(span: ReadableSpan) -> str:
    return traceparent(span.parent)


def attributes_of(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


async def ended(spans: Spans, name: str, count: int) -> list[ReadableSpan]:
    async def found() -> list[ReadableSpan] | None:
        return spans.named(name) if len(spans.named(name)) >= count else None

    return await until(found)


async def in_span(name: str, call: Awaitable[object]) -> str:
    """Await something within a span, and return the span's traceparent."""
    with trace.get_tracer("user").start_as_current_span(name) as span:
        await call
    return traceparent(span.get_span_context())


@pytest.mark.parametrize("how", ["live", "put away", "without transcripts"])
async def test_a_run_after_a_wait_links_to_the_decision_and_to_the_run_before(
    people: People, engine: Made, spans: Spans, how: str
) -> None:
    one = engine(put_away=timedelta(seconds=0.05)) if how == "put away" else engine()
    one = reading(one) if how == "without transcripts" else one
    one.workflow(booking)
    async with one:
        caller = await in_span("caller", started(people, one, "booking"))
        [first] = await ended(spans, "run booking", 1)
        execution_id = str(attributes_of(first)["placet.execution.id"])
        [approval] = await people.pending(execution_id)
        if how == "put away":
            runner = one.pool.runner(execution_id)

            async def away() -> bool | None:
                return runner.away or None

            await until(away)
        approver = await people.get("approver-a")
        decider = await in_span("decider", approver.grant(approval))
        assert (await people.ended(execution_id)).result == "booked for 120"
        _, second = await ended(spans, "run booking", 2)

    assert first.parent is None
    assert second.parent is None
    assert links_of(first) == {caller}
    own = {traceparent(first.context)}
    # A worker that reads no history with its claim hears of the decision without its trace.
    assert links_of(second) == (own | {decider} if how != "without transcripts" else own)
    assert first.kind is SpanKind.CONSUMER
    assert attributes_of(first) == {
        "placet.execution.id": execution_id,
        "placet.queue": one.queues[0],
        "placet.run.end": "waiting",
        "placet.workflow": "booking",
    }
    assert attributes_of(second)["placet.run.end"] == "completed"

    [asked], [booked] = spans.named("step ask_price"), spans.named("step book")
    assert parent_of(asked) == traceparent(first.context)
    assert parent_of(booked) == traceparent(second.context)
    assert attributes_of(booked)["placet.approval.id"] == approval.id
    [inside] = spans.named("inside")
    assert parent_of(inside) == traceparent(booked.context)

    # Each command goes on with the trace of the run that sent it.
    recorded = await traces_of(people, execution_id)
    assert recorded["Started"] == caller
    assert recorded["StepCompleted"] == traceparent(first.context)
    assert recorded["ApprovalRequested"] == traceparent(first.context)
    assert recorded["ApprovalGranted"] == decider
    assert recorded["Completed"] == traceparent(second.context)


async def test_each_attempt_of_a_step_has_a_span_that_says_how_it_failed(
    people: People, engine: Made, spans: Spans
) -> None:
    async def flaky(run: Run) -> None:
        await run.step(fail, retries=1, pause=0.01)

    async def fail() -> None:
        msg = "no room"
        raise LookupError(msg)

    one = engine()
    one.workflow(flaky)
    async with one:
        execution_id = await started(people, one, "flaky")
        await people.ended(execution_id)
        [run] = await ended(spans, "run flaky", 1)
    attempts = spans.named("step fail")
    assert [attributes_of(each)["placet.step.attempt"] for each in attempts] == [1, 2]
    assert {each.status.status_code for each in attempts} == {StatusCode.ERROR}
    assert run.status.status_code is StatusCode.ERROR
    assert attributes_of(run)["placet.run.end"] == "failed"


@pytest.mark.usefixtures("spans")
async def test_a_client_passes_the_current_span_on_also_over_its_websocket(
    people: People,
) -> None:
    operator: Client = await people.get("operator")
    operator.socket.dial()

    async def connected() -> bool | None:
        return operator.socket.connection is not None or None

    await until(connected)
    execution_id = ""

    async def start() -> None:
        nonlocal execution_id
        execution = (await operator.start("nobody-runs-it")).execution
        assert execution is not None
        execution_id = execution.id

    caller = await in_span("caller", start())
    assert (await traces_of(people, execution_id))["Started"] == caller


async def test_without_a_provider_there_are_no_traces(people: People, engine: Made) -> None:
    one: Engine = engine()
    one.workflow(booking)
    async with one:
        execution_id = await started(people, one, "booking")
        await people.pending(execution_id)
    assert set((await traces_of(people, execution_id)).values()) == {None}


@pytest.mark.usefixtures("spans")
async def test_a_server_of_an_older_version_is_asked_for_less(client: Client, peer: Peer) -> None:
    """It has no traces of events, and one that is older still no transcripts with claims."""
    unknown = {"traceparent": "Cannot query field 'traceparent'", "transcripts": "'transcripts'"}
    asked: list[str] = []

    async def post(request: web.Request) -> web.Response:
        body = await request.json()
        sent = body["query"] + json.dumps(body["variables"])
        for name, message in unknown.items():
            if name in sent:
                asked.append(name)
                error = {"message": message, "extensions": {"code": "BAD_REQUEST"}}
                return web.json_response({"errors": [error]})
        asked.append("less")
        claimed: dict[str, list[object]] = {"claims": [], "lost": [], "parked": []}
        result = None if "execution(" in sent else claimed
        return web.json_response({"data": {"result": result}})

    peer.post = post
    for _ in range(2):
        assert (await client.leases.poll("w", transcripts=True)).claims == []
    assert asked == ["traceparent", "transcripts", "less", "less"]
    asked.clear()
    for _ in range(2):
        assert await client.queries.transcript("an-id", traces=True) is None
    assert asked == ["traceparent", "less", "less"]
