"""What a workflow waits for beside people: timers, signals, and other executions."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from placet import EventFilter, ExecutionState, Run, require
from placet.testing import replay
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until

FINANCE = require(1, group="finance")


async def types(people: People, execution_id: str) -> list[str]:
    """Give the types of an execution's events, in order."""
    auditor = await people.get("auditor")

    page = await auditor.events(EventFilter(execution_id=execution_id), first=500)
    return [event.type for event in page]


async def asleep(people: People, execution_id: str) -> None:
    """Wait until its worker has said that it waits for nothing but a wake-up."""
    operator = await people.get("operator")

    async def sleeps() -> bool | None:
        execution = await operator.execution(execution_id)
        assert execution is not None
        return execution.asleep or None

    await until(sleeps)


async def test_a_workflow_sleeps_by_a_timer_of_the_log(people: People, engine: Made) -> None:
    sleepy = engine()

    @sleepy.workflow
    async def naps(run: Run) -> str:
        await run.sleep(0.05)
        await run.sleep_until(datetime.now(UTC) + timedelta(seconds=0.05))
        await asyncio.sleep(0.05)
        return "rested"

    async with sleepy:
        execution_id = await started(people, sleepy, "naps")
        assert (await people.ended(execution_id)).result == "rested"
    events = await types(people, execution_id)
    assert events.count("TimerSet") == events.count("TimerFired") == 3


async def test_a_sleep_goes_on_in_another_engine(people: People, engine: Made) -> None:
    one, other = engine(), engine()

    async def naps(run: Run) -> str:
        await run.sleep(1)
        return "rested"

    one.workflow(naps)
    other.workflow(naps)
    async with one:
        execution_id = await started(people, one, "naps")
        await asleep(people, execution_id)
    async with other:
        assert (await people.ended(execution_id)).result == "rested"
    assert (await types(people, execution_id)).count("TimerSet") == 1


async def test_an_approval_that_is_waited_for_no_longer_is_withdrawn(
    people: People, engine: Made
) -> None:
    hasty = engine()

    @hasty.workflow
    async def gives_up(run: Run) -> str:
        try:
            async with asyncio.timeout(0.3):
                await run.approval("Trip", payload={}, policy=FINANCE)
        except TimeoutError:
            return "given up"
        return "granted"

    async with hasty:
        execution_id = await started(people, hasty, "gives_up")
        ended = await people.ended(execution_id)
    assert (ended.state, ended.result) == (ExecutionState.COMPLETED, "given up")
    assert "ApprovalWithdrawn" in await types(people, execution_id)


async def test_a_timer_that_is_waited_for_no_longer_is_cancelled(
    people: People, engine: Made
) -> None:
    quick = engine()

    @quick.workflow
    async def in_time(run: Run) -> str:
        async with asyncio.timeout(3600):
            return (await run.approval("Trip", payload="x", policy=FINANCE)).payload  # type: ignore[no-any-return]

    async with quick:
        execution_id = await started(people, quick, "in_time")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        assert (await people.ended(execution_id)).result == "x"
    assert "TimerCancelled" in await types(people, execution_id)


@dataclass
class Ticket:
    gate: str


async def test_signals_come_once_and_in_order(people: People, engine: Made) -> None:
    operator = await people.get("operator")
    listening = engine()

    @listening.workflow
    async def listens(run: Run) -> list[object]:
        first = await run.signal("ticket", Ticket)
        await run.step(str, first.gate, name="between")
        return [first.gate, await run.signal("ticket"), await run.signal("other")]

    async with listening:
        execution_id = await started(people, listening, "listens")
        await operator.signal(execution_id, "other", 3, key="c")
        await operator.signal(execution_id, "ticket", {"gate": "B 7"}, key="a")
        await operator.signal(execution_id, "ticket", 2, key="b")
        await operator.signal(execution_id, "ticket", 2, key="b")
        assert (await people.ended(execution_id)).result == ["B 7", 2, 3]


async def test_signals_that_were_not_read_are_said_at_the_end(
    people: People, engine: Made, caplog: pytest.LogCaptureFixture
) -> None:
    only = engine()

    @only.workflow
    async def reads_one(run: Run) -> Any:
        await run.signal("go")
        return await run.signal("note")

    async with only:
        execution_id = await started(people, only, "reads_one")
        operator = await people.get("operator")
        for number in range(3):
            await operator.signal(execution_id, "note", number)
        await operator.signal(execution_id, "go")
        assert (await people.ended(execution_id)).result == 0

        async def said() -> bool | None:
            text = f"execution {execution_id} has ended without reading 2 of the signal 'note'"
            return True if text in caplog.text else None

        await until(said)


async def test_what_differs_each_time_is_recorded(people: People, engine: Made) -> None:
    seen: list[tuple[datetime, float, UUID]] = []
    one, other = engine(), engine()

    async def lucky(run: Run) -> None:
        drawn = (await run.now(), await run.random(), await run.uuid())
        seen.append(drawn)
        await run.approval("Trip", payload={}, policy=FINANCE)

    one.workflow(lucky)
    other.workflow(lucky)
    async with one:
        execution_id = await started(people, one, "lucky")
        [approval] = await people.pending(execution_id)
    await (await people.get("approver-a")).grant(approval)
    async with other:
        await people.ended(execution_id)
    assert seen[0] == seen[1]
    assert [type(each) for each in seen[1]] == [datetime, float, UUID]


async def test_a_wait_for_what_can_not_come_parks_the_execution(
    people: People, engine: Made
) -> None:
    stuck = engine()

    @stuck.workflow
    async def waits_for_nothing(_: Run) -> None:
        await asyncio.Event().wait()

    async with stuck:
        reason = await people.parked(await started(people, stuck, "waits_for_nothing"))
    assert reason.startswith("the workflow waits for something that can't come")


@pytest.mark.parametrize(
    "outside",
    [
        lambda: asyncio.to_thread(print),
        lambda: asyncio.open_connection("127.0.0.1", 1),
        lambda: asyncio.create_subprocess_exec("true"),
    ],
)
async def test_a_workflow_that_reaches_outside_is_told_of_steps(
    people: People, engine: Made, outside: Any
) -> None:
    careless = engine()

    @careless.workflow
    async def reaches(_: Run) -> None:
        await outside()

    async with careless:
        ended = await people.ended(await started(people, careless, "reaches"))
    assert ended.error is not None
    assert "into a step (run.step)" in ended.error


async def test_a_retry_has_its_whole_time_again(people: People, engine: Made) -> None:
    operator, approver = await people.get("operator"), await people.get("approver-a")
    timed = engine()

    @timed.workflow
    async def in_time(run: Run) -> str:
        async with asyncio.timeout(3600):
            clearance = await run.approval("Trip", payload="x", policy=FINANCE)
        return str(clearance.payload)

    async with timed:
        execution_id = await started(people, timed, "in_time")
        [approval] = await people.pending(execution_id)
        await approver.reject(approval, comment="no")
        failed = await people.ended(execution_id)
        await operator.retry(failed)
        [approval] = await people.pending(execution_id)
        await approver.grant(approval)
        ended = await people.ended(execution_id, after=failed.version)
    assert (ended.state, ended.result) == (ExecutionState.COMPLETED, "x")
    events = await types(people, execution_id)
    assert (events.count("TimerSet"), events.count("TimerCancelled")) == (2, 2)


async def test_a_deadline_that_a_retry_had_set_anew_and_that_passed_has_passed(
    people: People, engine: Made
) -> None:
    operator = await people.get("operator")
    timed = engine()
    hangs, broken = False, True

    async def first() -> None:
        if hangs:
            await asyncio.Event().wait()
        msg = "no"
        raise OSError(msg)

    async def second() -> str:
        if broken:
            msg = "down"
            raise OSError(msg)
        return "up"

    @timed.workflow
    async def goes_on(run: Run) -> str:
        try:
            async with asyncio.timeout(0.3):
                await run.step(first)
        except TimeoutError:
            return await run.step(second)
        return "in time"

    async with timed:
        execution_id = await started(people, timed, "goes_on")
        failed = await people.ended(execution_id)
        hangs = True
        await operator.retry(failed)
        again = await people.ended(execution_id, after=failed.version)
        broken = False
        await operator.retry(again)
        ended = await people.ended(execution_id, after=again.version)
    assert (ended.state, ended.result) == (ExecutionState.COMPLETED, "up")
    assert (await types(people, execution_id)).count("TimerFired") == 1


@pytest.mark.parametrize("wait", ["push", "poll"])
async def test_a_timeout_ends_a_step_that_hangs_however_the_engine_hears_of_it(
    people: People, engine: Made, wait: str
) -> None:
    timed = engine(wait=wait)

    @timed.workflow
    async def gives_up(run: Run) -> str:
        try:
            async with asyncio.timeout(0.3):
                await run.step(asyncio.Event().wait, name="hangs")
        except TimeoutError:
            return "given up"
        return "done"

    async with timed:
        execution_id = await started(people, timed, "gives_up")
        assert (await people.ended(execution_id)).result == "given up"


async def test_an_engine_that_is_closed_claims_nothing_more(people: People, engine: Made) -> None:
    gone, there = engine(wait="poll"), engine(wait="poll")

    async def quick(_: Run) -> str:
        return "done"

    gone.workflow(quick)
    there.workflow(quick)
    async with gone:
        await people.ended(await started(people, gone, "quick"))
    async with there:
        for _ in range(5):
            ended = await people.ended(await started(people, there, "quick"))
            assert ended.worker == there.worker


async def test_what_a_workflow_left_behind_does_not_hinder_its_replay(
    people: People, engine: Made
) -> None:
    one, other = engine(), engine()

    async def leaves(run: Run) -> str:
        forgotten = asyncio.ensure_future(run.sleep(3600))
        await run.approval("Trip", payload="x", policy=FINANCE)
        assert not forgotten.done()
        return "done"

    one.workflow(leaves)
    other.workflow(leaves)
    async with one:
        execution_id = await started(people, one, "leaves")
        [approval] = await people.pending(execution_id)
    await (await people.get("approver-a")).grant(approval)
    async with other:
        ended = await people.ended(execution_id)
    assert ended.result == "done"
    transcript = await (await people.get("operator")).transcript(execution_id)
    assert transcript is not None
    replay(transcript, leaves)
