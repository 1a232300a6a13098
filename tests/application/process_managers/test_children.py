"""A child is started once for its parent, and its end is recorded in the parent once."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from application.command_handling.outcomes import Accepted
from application.process_managers import children, log_process_manager
from domain.execution.commands import CancelExecution, FailExecution, StartChild, StartExecution
from domain.execution.events import Cancelled, ChildEnded, ChildStarted, Recorded, Started
from domain.execution.state import Execution
from domain.identifiers import child_id
from domain.refusals import RefusalCode
from domain.serialization.event_codec import encode
from domain.values import ExecutionState, Parent, ParentEnd
from tests.application.server_process import ServerProcess, complete, refused
from tests.domain.people import ENGINE, OLIVIA
from tests.support.patience import HANGS


async def bear(process: ServerProcess, parent: UUID, key: str = "hotel", **rest: Any) -> UUID:
    """Have a child started, and give its id once the parent has recorded it."""
    await process.do(
        StartChild(
            by=ENGINE, execution_id=parent, key=key, workflow="lodging", queue="default", **rest
        )
    )
    return child_id(parent, key, 1)


async def test_the_initiator_of_a_child_is_that_of_its_parent(process: ServerProcess) -> None:
    parent = await process.start(on_behalf_of="ann")
    child = await bear(process, parent.id, input={"nights": 2})

    [started] = await process.until(child, Started)

    execution = await process.reader.execution(child)
    assert execution is not None
    assert (execution.initiator.id, execution.on_behalf_of) == (OLIVIA.id, "ann")
    assert execution.input == {"nights": 2}
    assert execution.parent is not None
    assert execution.parent.execution_id == parent.id
    assert started.causation_id is not None


async def test_the_end_of_a_child_is_recorded_in_its_parent(process: ServerProcess) -> None:
    parent = await process.start()
    done, broken = await bear(process, parent.id, "a"), await bear(process, parent.id, "b")
    await process.until(done, Started)
    await process.until(broken, Started)

    await process.do(complete(done, result=5))
    await process.do(FailExecution(by=ENGINE, execution_id=broken, error="no room"))

    first, second = await process.until(parent.id, ChildEnded, 2)
    assert isinstance(first.event, ChildEnded)
    assert isinstance(second.event, ChildEnded)
    assert (first.event.outcome, first.event.content.result) == (ExecutionState.COMPLETED, 5)
    assert (second.event.outcome, second.event.content.error) == (ExecutionState.FAILED, "no room")


async def test_with_a_parent_its_children_are_cancelled(process: ServerProcess) -> None:
    parent = await process.start()
    child = await bear(process, parent.id)
    await process.until(child, Started)

    await process.do(CancelExecution(by=OLIVIA, execution_id=parent.id, reason="no trip"))

    [cancelled] = await process.until(child, Cancelled)
    assert isinstance(cancelled.event, Cancelled)
    assert cancelled.event.content.reason == "its parent was cancelled"


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_at_the_end_of_a_parent_its_children_do_what_was_said_at_their_start(
    process: ServerProcess, end: str
) -> None:
    parent = await process.start()
    born = {
        policy: await bear(process, parent.id, str(policy), on_parent_end=policy)
        for policy in (None, *ParentEnd)
    }
    for child in born.values():
        await process.until(child, Started)
    fails = FailExecution(by=ENGINE, execution_id=parent.id, error="no room")
    cancels = CancelExecution(by=OLIVIA, execution_id=parent.id, reason="no trip")
    ends = {"completed": complete(parent.id), "failed": fails, "cancelled": cancels}
    await process.do(ends[end])

    [cancelled] = await process.until(born[ParentEnd.CANCEL], Cancelled)
    assert isinstance(cancelled.event, Cancelled)
    assert cancelled.event.content.reason == f"its parent was {end}"
    followers = {None, ParentEnd.WAIT} if end == "cancelled" else set()
    for policy in followers:
        await process.until(born[policy], Cancelled)
    # The commands of one event are sent in order, and these would have come before.
    for policy in {None, ParentEnd.ABANDON, ParentEnd.WAIT} - followers:
        execution = await process.reader.execution(born[policy])
        assert execution is not None
        assert execution.state is ExecutionState.RUNNING


async def test_a_child_whose_id_an_engine_knew_before_is_started(process: ServerProcess) -> None:
    parent = await process.start()
    known = child_id(parent.id, "hotel", 1)
    command = StartExecution(
        by=ENGINE, execution_id=known, given_id=str(known), workflow="lodging", queue="default"
    )
    [outcome] = await process.send(command)
    refused(outcome, RefusalCode.INVALID_INPUT)

    await process.until(await bear(process, parent.id), Started)

    execution = await process.reader.execution(known)
    assert execution is not None
    assert execution.parent is not None


@pytest.mark.unsound
async def test_a_child_that_can_not_be_started_has_failed(process: ServerProcess) -> None:
    parent = await process.start()
    taken = child_id(parent.id, "hotel", 1)
    other = Parent(execution_id=uuid4(), key="hotel", round=1)
    await process.start(execution_id=taken, given_id=str(taken), parent=other)

    await bear(process, parent.id)

    [ended] = await process.until(parent.id, ChildEnded)
    assert isinstance(ended.event, ChildEnded)
    assert ended.event.outcome is ExecutionState.FAILED
    assert "could not be started" in str(ended.event.content.error)


async def test_events_from_before_the_start_are_handled_later(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        parent = await process.start()
        await process.children.close()
        child = await bear(process, parent.id)
    async with ServerProcess.open(log_url) as another:
        await another.until(child, Started)
        await another.do(complete(child))
        await another.until(parent.id, ChildEnded)


async def test_two_processes_start_a_child_once(log_url: str) -> None:
    async with ServerProcess.open(log_url) as one, ServerProcess.open(log_url) as two:
        parent = await one.start()
        born = [await bear(two, parent.id, f"child-{n}") for n in range(5)]
        for child in born:
            await two.until(child, Started)
            [outcome] = await one.send(complete(child))
            assert isinstance(outcome, Accepted)
        ends = await one.until(parent.id, ChildEnded, 5)
        assert len(ends) == 5


async def test_a_damaged_parent_or_child_does_not_stop_others(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        parent, sound = await process.start(), await process.start()
        child = await bear(process, parent.id)
        await process.until(child, Started)
        await process.children.close()
        await process.do(complete(child))
        process.damage(parent.id)
    async with ServerProcess.open(log_url) as fresh:
        await fresh.until(await bear(fresh, sound.id), Started)


async def test_more_children_than_the_queue_takes_are_cancelled_with_their_parent(
    log_url: str,
) -> None:
    async with ServerProcess.open(log_url, queue_limit=8) as process:
        parent = await process.start()
        born = [await bear(process, parent.id, f"child-{n}") for n in range(20)]
        for child in born:
            await process.until(child, Started)
        await process.do(CancelExecution(by=OLIVIA, execution_id=parent.id, reason="no"))
        for child in born:
            await process.until(child, Cancelled)


@pytest.mark.unsound
async def test_a_command_that_always_fails_is_skipped(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_process_manager, "PAUSE", 0.001)
    parent, other = await process.start(), await process.start()
    faulty = child_id(parent.id, "faulty", 1)

    def fails(recorded: Recorded) -> bytes:
        if recorded.execution_id == faulty:
            raise ZeroDivisionError
        return encode(recorded)

    monkeypatch.setattr("application.command_handling.batch.encode", fails)
    with capture_logs() as lines:
        await bear(process, parent.id, "faulty")
        await process.until(await bear(process, other.id), Started)
        # Both may have been sent together, and the other one is not tried again.
        async with asyncio.timeout(HANGS):
            while not any(line["event"] == "command_skipped" for line in lines):
                await asyncio.sleep(0.01)
    [skipped] = [line for line in lines if line["event"] == "command_skipped"]
    assert (skipped["command"], skipped["id"]) == ("StartExecution", str(faulty))


@pytest.mark.unsound
async def test_an_event_whose_commands_can_not_be_found_is_skipped(
    process: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, other = await process.start(), await process.start()
    faulty = child_id(parent.id, "faulty", 1)
    birth = children._start_child

    def fails(execution: Execution, event: ChildStarted) -> StartExecution:
        if event.child_id == faulty:
            raise ZeroDivisionError
        return birth(execution, event)

    monkeypatch.setattr(children, "_start_child", fails)
    with capture_logs() as lines:
        await bear(process, parent.id, "faulty")
        await process.until(await bear(process, other.id), Started)
    assert [line["id"] for line in lines if line["event"] == "event_skipped"] == [str(parent.id)]
