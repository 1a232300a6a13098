"""Whatever way it is waited, the same comes of it."""

import asyncio
import logging
from collections.abc import Awaitable, Iterator

import pytest

from placet import ApprovalStatus, Client, Engine, Execution, ExecutionState, errors, require
from placet.client.changes import Mode
from tests.sdk import ways
from tests.sdk.people import People, Server, until
from tests.sdk.ways import OUTCOMES, WAYS, History, Way, asked, underway
from tests.support.proxy import HttpWire

MODES: tuple[Mode, ...] = ("push", "poll")
FELL_BACK = "waiting by polling instead"

each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
each_history = pytest.mark.parametrize("history", OUTCOMES, ids=lambda history: history.__name__)
each_mode = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def wire(server: Server) -> Iterator[HttpWire]:
    with HttpWire.open(server.url) as opened:
        yield opened


def through(wire: HttpWire, server: Server) -> Client:
    """Give a client of the operator that goes through the wire."""
    return Client(wire.url, server.tokens["operator"])


@each_way
@each_history
async def test_over_before_the_wait_began(people: People, way: Way, history: History) -> None:
    approval = await asked(people)
    await history(people, approval)
    assert await way(await people.get("operator"), approval.execution_id) == OUTCOMES[history]


@each_way
@each_history
async def test_decided_in_the_moment_of_asking(people: People, way: Way, history: History) -> None:
    approval = await asked(people)
    outcome, _ = await asyncio.gather(
        way(await people.get("operator"), approval.execution_id), history(people, approval)
    )
    assert outcome == OUTCOMES[history]


@each_way
@each_history
async def test_decided_while_it_is_waited(
    people: People, server: Server, way: Way, history: History
) -> None:
    approval = await asked(people)
    async with Client(server.url, server.tokens["operator"]) as client:
        waiting = asyncio.ensure_future(way(client, approval.execution_id))
        if way is not ways.interval:
            await underway(client, waiting)
        await history(people, approval)
        assert await waiting == OUTCOMES[history]


@each_way
async def test_the_connection_is_lost_in_the_middle(
    people: People, server: Server, wire: HttpWire, way: Way
) -> None:
    approval = await asked(people)
    async with through(wire, server) as client:
        waiting = asyncio.ensure_future(way(client, approval.execution_id))
        if way is not ways.interval:
            await underway(client, waiting)
        wire.down = True
        wire.cut()
        await ways.grant(people, approval)
        wire.down = False
        assert await waiting == OUTCOMES[ways.grant]


@each_way
async def test_a_completed_execution_is_given_with_its_result(people: People, way: Way) -> None:
    execution_id = await people.start("waited-for")
    engine, operator = await people.get("engine"), await people.get("operator")
    outcome, _ = await asyncio.gather(
        way(operator, execution_id), engine.complete(execution_id, {"done": True})
    )
    assert outcome == (ExecutionState.COMPLETED, 2)
    assert (await operator.wait(execution_id)).result == {"done": True}


@each_mode
async def test_without_a_predicate_it_waits_for_the_end(people: People, mode: Mode) -> None:
    approval = await asked(people)
    operator, engine = await people.get("operator"), await people.get("engine")
    waiting = asyncio.ensure_future(operator.wait(approval.execution_id, mode=mode))
    await ways.grant(people, approval)
    await engine.record_step(approval.execution_id, "book")
    assert not waiting.done()
    await engine.complete(approval.execution_id, 17)
    ended = await waiting
    assert (ended.state, ended.result) == (ExecutionState.COMPLETED, 17)


async def test_an_execution_itself_can_be_waited_for(people: People) -> None:
    operator, engine = await people.get("operator"), await people.get("engine")
    started = (await operator.start("waited-for")).execution
    assert started is not None
    async with operator.watch(started) as watch:
        waiting = asyncio.ensure_future(operator.wait(started))
        await engine.complete(started.id, 17)
        assert (await waiting).result == 17
        assert await watch.until() is ExecutionState.COMPLETED


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("history", "status"),
    [
        (ways.grant, ApprovalStatus.GRANTED),
        (ways.reject, ApprovalStatus.REJECTED),
        (ways.withdraw, ApprovalStatus.WITHDRAWN),
        (ways.cancel, ApprovalStatus.WITHDRAWN),
    ],
)
async def test_a_resolved_approval_is_given(
    people: People, mode: Mode, history: History, status: ApprovalStatus
) -> None:
    operator = await people.get("operator")
    for when in ("before", "meanwhile"):
        approval = await asked(people)
        if when == "before":
            await history(people, approval)
            resolved = await operator.wait_for(approval, mode=mode)
        else:
            resolved, _ = await asyncio.gather(
                operator.wait_for(approval, mode=mode), history(people, approval)
            )
        assert (resolved.id, resolved.status) == (approval.id, status)


@each_mode
async def test_one_of_two_decisions_resolves_nothing(people: People, mode: Mode) -> None:
    approval = await asked(people, count=2)
    operator = await people.get("operator")
    waiting = asyncio.ensure_future(operator.wait_for(approval, mode=mode))
    await ways.grant(people, approval)
    await (await people.get("approver-b")).grant(approval)
    resolved = await waiting
    assert [each.by.id for each in resolved.decisions] == ["approver-a", "approver-b"]


@each_mode
async def test_an_approver_waits_without_seeing_the_execution(people: People, mode: Mode) -> None:
    approval = await asked(people)
    other = await people.get("approver-b")
    assert await other.execution(approval.execution_id) is None
    waiting = asyncio.ensure_future(other.wait_for(approval, mode=mode, poll=0.02))
    await ways.grant(people, approval)
    assert (await waiting).status is ApprovalStatus.GRANTED


@each_mode
async def test_what_is_not_there_is_not_waited_for(people: People, mode: Mode) -> None:
    approval = await asked(people)
    approver, legal = await people.get("approver-a"), await people.get("approver-c")
    for client, execution_id in ((approver, approval.execution_id), (legal, "nonsense")):
        with pytest.raises(errors.NotFound, match="there is no execution"):
            await client.wait(execution_id, mode=mode)
        with pytest.raises(errors.NotFound):
            async with client.watch(execution_id, mode=mode):
                raise AssertionError
    with pytest.raises(errors.NotFound, match="there is no approval"):
        await legal.wait_for(approval, mode=mode)


@each_mode
async def test_a_wait_has_an_end_if_it_is_given_one(people: People, mode: Mode) -> None:
    approval = await asked(people)
    operator = await people.get("operator")
    with pytest.raises(TimeoutError):
        await operator.wait(approval.execution_id, mode=mode, timeout=0.05)
    with pytest.raises(TimeoutError):
        await operator.wait_for(approval, mode=mode, timeout=0.05)


@each_mode
async def test_a_wait_that_ends_says_what_for_and_what_was_seen(people: People, mode: Mode) -> None:
    id_ = await people.start("trip")
    operator, engine = await people.get("operator"), await people.get("engine")
    asked_for = await engine.request_approval(
        id_, "go", "A trip", payload={}, policy=require(group="finance")
    )
    approval = asked_for.approval
    assert approval is not None

    # All at once, each for longer than the first answer takes on a machine that is busy.
    async def said_by(wait: Awaitable[object]) -> str:
        with pytest.raises(TimeoutError) as timed_out:
            await wait
        return str(timed_out.value)

    async with operator.watch(id_, mode=mode) as watch:
        said = await asyncio.gather(
            said_by(operator.wait_for(approval, mode=mode, timeout=3)),
            said_by(operator.wait(id_, mode=mode, timeout=3)),
            said_by(operator.wait(id_, mode=mode, timeout=3, until=lambda e: e.asleep)),
            said_by(watch.until(ExecutionState.FAILED, timeout=0.01)),
        )
    seen = "last seen WAITING_APPROVAL"
    assert list(said) == [
        f"waited 3 s for approval {approval.id} to be resolved; last seen PENDING",
        f"waited 3 s for execution {id_} to end; {seen}",
        f"waited 3 s for execution {id_} to be as `until` wants it; {seen}",
        f"waited 0.01 s for execution {id_} to be FAILED; {seen}",
    ]


async def test_a_timeout_that_is_not_the_waits_keeps_its_words(people: People) -> None:
    def until(execution: Execution) -> bool:
        raise TimeoutError(execution.id)

    id_ = await people.start("trip")
    with pytest.raises(TimeoutError) as own:
        await (await people.get("operator")).wait(id_, until=until, timeout=60)
    assert str(own.value) == id_


async def test_a_wait_in_vain_for_any_answer_says_so() -> None:
    async with Client("http://127.0.0.1:9", "t") as client:
        with pytest.raises(TimeoutError, match="no answer about it came"):
            await client.wait("an-id", timeout=0.1)


async def test_many_waits_share_one_websocket(
    people: People, server: Server, wire: HttpWire
) -> None:
    approvals = [await asked(people) for _ in range(30)]
    async with through(wire, server) as client:
        waiting = [asyncio.create_task(client.wait_for(approval)) for approval in approvals]
        await underway(client, waiting[0])
        approver = await people.get("approver-a")
        await asyncio.gather(*(approver.grant(approval) for approval in approvals))
        resolved = await asyncio.gather(*waiting)
    assert {each.status for each in resolved} == {ApprovalStatus.GRANTED}
    assert wire.handshakes == 1


async def test_more_long_polls_than_connections_keep_nobody_from_asking(
    people: People, server: Server
) -> None:
    approvals = [await asked(people) for _ in range(3)]
    async with Client(server.url, server.tokens["operator"]) as client:
        waiting = [
            asyncio.create_task(client.wait(each.execution_id, mode="poll", until=ways.over))
            for each in approvals
            for _ in range(50)
        ]
        await underway(client, waiting[0])
        for approval in approvals:
            await client.cancel(approval.execution_id, "enough")
        ended = await asyncio.gather(*waiting)
    assert {each.state for each in ended} == {ExecutionState.CANCELLED}


@pytest.mark.parametrize("websockets", ["refuse", "lose", "cut"])
@pytest.mark.parametrize("way", [ways.push, ways.watch], ids=lambda way: way.__name__)
async def test_where_websockets_are_blocked_it_polls_and_says_so(
    people: People,
    server: Server,
    wire: HttpWire,
    way: Way,
    websockets: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("placet.client.transport.reconnecting.PAUSE_SECONDS", 0.01)
    wire.websockets = websockets  # type: ignore[assignment]
    approval, later = await asked(people), await asked(people)
    async with through(wire, server) as client:
        with caplog.at_level(logging.WARNING, "placet"):
            waiting = asyncio.ensure_future(way(client, approval.execution_id))

            async def said() -> bool | None:
                assert not waiting.done()
                return FELL_BACK in caplog.text or None

            await until(said)
        tried = wire.handshakes
        await ways.grant(people, approval)
        assert await waiting == OUTCOMES[ways.grant]
        outcome, _ = await asyncio.gather(
            way(client, later.execution_id), ways.reject(people, later)
        )
        assert outcome == OUTCOMES[ways.reject]
        assert wire.handshakes == tried
    assert caplog.text.count(FELL_BACK) == 1


async def test_a_way_to_wait_that_there_is_not_is_refused(people: People) -> None:
    id_ = await people.start("travel")
    operator = await people.get("operator")
    with pytest.raises(ValueError, match="no way to wait named 'pull'; there is push and poll"):
        await operator.wait(id_, mode="pull")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no way to wait named 'pull'"):
        Engine("http://127.0.0.1:9", token="t", wait="pull")  # type: ignore[arg-type]
