"""A person pauses an execution that an engine holds, and lets it go on."""

import asyncio

import pytest

from placet import Engine, ExecutionState, Run, require
from placet.client.changes import Mode
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until

FINANCE = require(1, group="finance")
MODES = pytest.mark.parametrize("mode", ["push", "poll"])


async def let_go(people: People, engine: Engine, execution_id: str) -> None:
    """Wait until the engine has dropped the execution."""

    async def dropped() -> bool | None:
        return len(engine.pool) == 0 or None

    await until(dropped)
    execution = await (await people.get("operator")).execution(execution_id)
    assert execution is not None
    assert execution.parked == "the rates are wrong"


async def events(people: People, execution_id: str, *types: str) -> list[str]:
    """Give the events of these types, in order."""
    transcript = await (await people.get("operator")).transcript(execution_id)
    assert transcript is not None
    return [event.type for event in transcript.events if event.type in types]


@MODES
async def test_a_paused_workflow_stops_and_goes_on_where_it_was(
    people: People, engine: Made, mode: Mode
) -> None:
    begun, cut, only = asyncio.Event(), asyncio.Event(), engine(wait=mode)

    async def look() -> str:
        if cut.is_set():
            return "looked"
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()
        raise AssertionError

    @only.workflow
    async def looks(run: Run) -> list[str]:
        return [await run.step(str, "first"), await run.step(look)]

    operator = await people.get("operator")
    async with only:
        execution_id = await started(people, only, "looks")
        await begun.wait()
        await operator.park(execution_id, "the rates are wrong")
        await cut.wait()
        await let_go(people, only, execution_id)
        await operator.unpark(execution_id)
        ended = await people.ended(execution_id)
    assert ended.result == ["first", "looked"]
    assert (ended.state, ended.fence) == (ExecutionState.COMPLETED, 2)


@MODES
async def test_what_was_approved_and_is_under_way_ends_and_is_recorded(
    people: People, engine: Made, mode: Mode
) -> None:
    begun, go, only = asyncio.Event(), asyncio.Event(), engine(wait=mode)
    payments = 0

    async def pay() -> str:
        nonlocal payments
        payments += 1
        begun.set()
        await go.wait()
        return "paid"

    @only.workflow
    async def pays(run: Run) -> str:
        clearance = await run.approval("Pay", payload={}, policy=FINANCE)
        return await run.step(pay, clearance=clearance)

    operator = await people.get("operator")
    async with only:
        execution_id = await started(people, only, "pays")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        await begun.wait()
        await operator.park(execution_id, "the rates are wrong")
        go.set()
        await let_go(people, only, execution_id)
        recorded = await events(people, execution_id, "Parked", "StepCompleted", "StepFailed")
        await operator.unpark(execution_id)
        ended = await people.ended(execution_id)
    assert recorded == ["Parked", "StepCompleted"]
    assert (ended.result, payments) == ("paid", 1)


async def test_a_paused_workflow_that_waits_is_woken_only_by_being_let_go_on(
    people: People, engine: Made
) -> None:
    only = engine()

    @only.workflow
    async def waits(run: Run) -> str:
        await run.approval("Pay", payload={}, policy=FINANCE)
        return await run.step(str, "on")

    operator = await people.get("operator")
    async with only:
        execution_id = await started(people, only, "waits")
        [approval] = await people.pending(execution_id)
        await operator.park(execution_id, "the rates are wrong")
        await let_go(people, only, execution_id)
        await (await people.get("approver-a")).grant(approval)
        paused = await operator.execution(execution_id)
        assert paused is not None
        assert (paused.state, paused.fence) == (ExecutionState.RESUMED, 1)
        await operator.unpark(execution_id)
        assert (await people.ended(execution_id)).result == "on"


async def test_a_pause_that_was_not_heard_of_is_noticed_on_reconnection(
    people: People, engine: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = engine()

    @only.workflow
    async def waits(run: Run) -> str:
        await run.approval("Pay", payload={}, policy=FINANCE)
        return await run.step(str, "on")

    operator = await people.get("operator")
    async with only:
        execution_id = await started(people, only, "waits")
        await people.pending(execution_id)
        only.pool.doubt(only.pool.held())
        monkeypatch.setattr(only.pool, "take", lambda _assignment: None)
        await operator.park(execution_id, "the rates are wrong")
        assert len(only.pool) == 1
        await only.pool.confirm()
        await let_go(people, only, execution_id)
