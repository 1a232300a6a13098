import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import GraphQLError

from tests.api.graphql_client import GraphQLClient
from tests.api.positions import number
from tests.application.server_process import grant, step
from tests.domain.people import ANN, AUDREY, ENGINE, NOBODY, OLIVIA, OTHER_ENGINE

LONG = 20.0
OF_ONE = """subscription ($id: ID!, $after: Int) {
    executionEvents(executionId: $id, afterVersion: $after) { version type } }"""
EVENTS = """subscription ($filter: EventFilter, $after: String) {
    events(filter: $filter, after: $after) { cursor event { position type } } }"""
APPROVALS = """subscription ($filter: ApprovalFilter, $after: String) {
    approvals(filter: $filter, after: $after) {
        cursor removedId approval { id status execution { id } } } }"""
ASSIGNMENTS = """subscription ($worker: String!, $queues: [String!]) {
    assignments(worker: $worker, queues: $queues) {
        claim { fence execution { id } } resolved { id status } ended lost } }"""


async def following(stream: AsyncIterator[Any]) -> Any:
    async with asyncio.timeout(LONG):
        return await anext(stream)


async def events_of(stream: AsyncIterator[Any], count: int) -> list[Any]:
    """Return so many messages with an event."""
    found: list[Any] = []
    while len(found) < count:
        message = await following(stream)
        found += [message] if message["event"] else []
    return found


async def test_the_events_of_an_execution_have_no_gap_and_no_repeat(client: GraphQLClient) -> None:
    execution = await client.process.start()
    for n in range(150):
        await client.process.do(step(execution.id, f"{n}"))
    async with client.follow(OF_ONE, id=str(execution.id), after=20) as stream:
        seen = [(await following(stream))["version"] for _ in range(100)]
        await client.process.send(*(step(execution.id, f"later-{n}") for n in range(50)))
        seen += [(await following(stream))["version"] for _ in range(81)]
    assert seen == list(range(21, 202))


@pytest.mark.parametrize(
    "selection",
    [
        "events(after: $after) { cursor } events(after: $after) { event { type } }",
        "...All } fragment All on Subscription { events(after: $after) { cursor event { type } }",
        "events(after: $after) @include(if: true) { cursor event { type } }",
        "named: events(after: $after) { cursor event { type @skip(if: false) } }",
    ],
)
async def test_a_subscription_works_with_aliases_and_fragments(
    client: GraphQLClient, selection: str
) -> None:
    await client.process.start()
    async with client.follow(
        f"subscription ($after: String) {{ {selection} }}", after="0"
    ) as stream:
        [message] = await events_of(stream, 1)
    assert number(message["cursor"]) == 1
    assert message["event"] == {"type": "Started"}


async def test_without_a_version_events_come_from_now_on(client: GraphQLClient) -> None:
    execution = await client.process.start()
    other = await client.process.start()
    async with client.follow(OF_ONE, id=str(execution.id)) as stream:
        waiting = asyncio.ensure_future(following(stream))
        await asyncio.sleep(0)
        await client.process.do(step(other.id, "elsewhere"))
        while not waiting.done():
            # The subscription begins when the server gets round to it, so there is always a next.
            await client.process.do(step(execution.id, f"{client.process.tail.position}"))
            await asyncio.wait([waiting], timeout=0.05)
    first = waiting.result()
    assert first["version"] > 1
    assert first["type"] == "StepCompleted"


async def test_an_execution_that_may_not_be_seen_has_no_events(client: GraphQLClient) -> None:
    execution = await client.process.start()
    for by in (ANN, NOBODY, OTHER_ENGINE):
        async with client.follow(OF_ONE, by, id=str(execution.id), after=0) as stream:
            with pytest.raises(GraphQLError, match="no execution"):
                await following(stream)
    async with client.follow(OF_ONE, id="nonsense") as stream:
        with pytest.raises(GraphQLError, match="no execution"):
            await following(stream)


async def test_an_ended_token_ends_the_stream(client: GraphQLClient) -> None:
    execution = await client.process.start()
    async with client.follow(OF_ONE, id=str(execution.id), after=0) as stream:
        assert (await following(stream))["version"] == 1
        client.revoked.add(OLIVIA.id)
        await client.process.do(step(execution.id, "book"))
        with pytest.raises(GraphQLError) as caught:
            await following(stream)
    assert (caught.value.extensions or {})["code"] == "UNAUTHENTICATED"


async def test_events_go_on_from_a_cursor(client: GraphQLClient) -> None:
    execution = await client.process.start()
    async with client.follow(EVENTS, AUDREY) as stream:
        told = await following(stream)
        assert (number(told["cursor"]), told["event"]) == (1, None)
    await client.process.do(step(execution.id, "one"))
    async with client.follow(EVENTS, AUDREY, after=told["cursor"]) as stream:
        await client.process.do(step(execution.id, "two"))
        found = await events_of(stream, 2)
    assert [number(message["event"]["position"]) for message in found] == [2, 3]
    assert [message["cursor"] for message in found] == [
        message["event"]["position"] for message in found
    ]


async def test_events_are_filtered_by_the_query_and_by_permission(client: GraphQLClient) -> None:
    hidden = await client.process.start(queue="elsewhere")
    seen = await client.process.start()
    await client.process.do(step(seen.id, "book"))
    async with client.follow(EVENTS, ENGINE, after="0") as stream:
        found = await events_of(stream, 2)
    assert [message["event"]["type"] for message in found] == ["Started", "StepCompleted"]
    wanted = {"executionId": str(hidden.id)}
    async with client.follow(EVENTS, AUDREY, after="0", filter=wanted) as stream:
        assert len(await events_of(stream, 1)) == 1


async def test_approvals_are_reported_when_requested_and_when_decided(
    client: GraphQLClient,
) -> None:
    execution = await client.process.start()
    pending = {"status": ["PENDING"]}
    async with client.follow(APPROVALS, ANN, after="0", filter=pending) as stream:
        asked = await client.process.ask(execution.id)
        shown = await following(stream)
        assert shown["approval"] == {"id": str(asked.id), "status": "PENDING", "execution": None}
        assert (number(shown["cursor"]), shown["removedId"]) == (2, None)
        await client.process.do(grant(asked))
        gone = await following(stream)
        assert (number(gone["cursor"]), gone["removedId"]) == (3, str(asked.id))
        assert gone["approval"]["status"] == "GRANTED"
    async with client.follow(APPROVALS, OLIVIA, after="2") as stream:
        assert (await following(stream))["approval"]["status"] == "GRANTED"


async def test_a_worker_gets_executions_and_messages_about_them(client: GraphQLClient) -> None:
    async with client.follow(ASSIGNMENTS, ENGINE, worker="w") as stream:
        first = asyncio.ensure_future(following(stream))
        execution = await client.process.start()
        claim = (await first)["claim"]
        assert claim == {"fence": 1, "execution": {"id": str(execution.id)}}
        asked = await client.process.ask(execution.id, fence=1)
        await client.process.do(grant(asked))
        resolved = (await following(stream))["resolved"]
        assert resolved == {"id": str(asked.id), "status": "GRANTED"}


async def test_assignments_require_the_role_and_the_queue(client: GraphQLClient) -> None:
    for by in (OLIVIA, OTHER_ENGINE):
        async with client.follow(ASSIGNMENTS, by, worker="w") as stream:
            with pytest.raises(GraphQLError) as caught:
                await following(stream)
        assert (caught.value.extensions or {})["code"] == "FORBIDDEN"


async def test_a_bad_cursor_ends_the_stream(client: GraphQLClient) -> None:
    for document in (EVENTS, APPROVALS):
        async with client.follow(document, after="nonsense") as stream:
            with pytest.raises(GraphQLError) as caught:
                await following(stream)
        assert (caught.value.extensions or {})["code"] == "BAD_REQUEST"
