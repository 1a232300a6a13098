"""A cancelled workflow that cleans up: what it still does, and what becomes of it."""

import asyncio
from datetime import timedelta

import pytest

from placet import Clearance, Engine, ExecutionState, Run, require
from placet.client.changes import Mode
from placet.engine.failure_codec import is_doubt
from placet.errors import InvalidTransition
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until

FINANCE = require(1, group="finance")
MODES = pytest.mark.parametrize("mode", ["push", "poll"])
WAITING = {ExecutionState.RUNNING, ExecutionState.WAITING_APPROVAL}


async def recorded(people: People, execution_id: str) -> list[str]:
    """Give what was recorded since the cancellation: keys of steps, else types of events."""
    transcript = await (await people.get("operator")).transcript(execution_id)
    assert transcript is not None
    names = [event.data.get("key", event.type) for event in transcript.events]
    return names[names.index("CancellationRequested") :]


async def waits(people: People, execution_id: str, step: str) -> None:
    """Wait until a step is recorded and the workflow waits."""
    operator = await people.get("operator")

    async def found() -> bool | None:
        history = await operator.history(execution_id)
        assert history is not None
        done = any(each.key == step for each in history.steps)
        return (done and history.execution.asleep) or None

    await until(found)


def booking(engine: Engine, log: list[str]) -> None:
    """Register a workflow that gives back the seat that it has booked."""

    async def book() -> str:
        log.append("book")
        return "4A"

    async def give_back(seat: str) -> None:
        log.append(f"give back {seat}")

    @engine.workflow(cleans_up=True)
    async def trip(run: Run) -> str:
        seat = await run.step(book, key="book")
        try:
            await run.signal("go")
        finally:
            await run.step(give_back, seat, key="give back")
        return seat


@MODES
async def test_the_steps_of_a_clean_up_are_done_and_recorded(
    people: People, engine: Made, mode: Mode
) -> None:
    log: list[str] = []
    only = engine(wait=mode)
    booking(only, log)
    operator = await people.get("operator")
    async with only:
        execution_id = await started(people, only, "trip")
        await waits(people, execution_id, "book")
        accepted = await operator.cancel(execution_id, "too late")
        assert accepted.execution is not None
        assert accepted.execution.state is ExecutionState.RUNNING
        ended = await people.ended(execution_id)
    assert (ended.state, ended.error) == (ExecutionState.CANCELLED, "too late")
    assert ended.cancel_requested_at is not None
    assert log == ["book", "give back 4A"]
    # A poll may have given it back by then, and claimed it anew.
    events = [each for each in await recorded(people, execution_id) if each != "Claimed"]
    assert events == ["CancellationRequested", "give back", "Cancelled"]


async def test_a_workflow_that_was_put_away_is_replayed_to_clean_up(
    people: People, engine: Made
) -> None:
    log: list[str] = []
    only = engine(put_away=timedelta(0))
    booking(only, log)
    async with only:
        execution_id = await started(people, only, "trip")
        runner = await until(lambda: held(only, execution_id))
        await until(lambda: away(runner))
        # Its `finally` runs at put-away, and does no step.
        assert log == ["book"]
        await (await people.get("operator")).cancel(execution_id, "too late")
        ended = await people.ended(execution_id)
    assert ended.state is ExecutionState.CANCELLED
    assert log == ["book", "give back 4A"]


async def held(engine: Engine, execution_id: str):  # type: ignore[no-untyped-def] # noqa: ANN201
    return next((r for r in engine.pool.held() if r.execution.id == execution_id), None)


async def away(runner) -> bool | None:  # type: ignore[no-untyped-def] # noqa: ANN001
    return runner.away or None


async def test_another_engine_takes_a_clean_up_over_where_it_was(
    people: People, engine: Made
) -> None:
    first, second, log = engine(), engine(), list[str]()
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        begun.set()
        await go.wait()
        log.append("slow")

    def register(engine: Engine) -> None:
        @engine.workflow(cleans_up=True)
        async def twice(run: Run) -> None:
            try:
                await run.signal("go")
            finally:
                await run.step(log.append, "quick", key="quick")
                await run.step(slow, key="slow")

    register(first)
    register(second)
    async with first:
        execution_id = await started(people, first, "twice")
        await until(lambda: asleep(people, execution_id))
        await (await people.get("operator")).cancel(execution_id, "too late")
        await begun.wait()
    go.set()
    async with second:
        ended = await people.ended(execution_id)
    assert (ended.state, ended.error, ended.fence) == (ExecutionState.CANCELLED, "too late", 2)
    assert log == ["quick", "slow"]


async def asleep(people: People, execution_id: str) -> bool | None:
    execution = await (await people.get("operator")).execution(execution_id)
    return (execution is not None and execution.asleep) or None


async def test_a_pending_approval_is_withdrawn_and_nothing_more_is_asked(
    people: People, engine: Made
) -> None:
    only = engine()
    raised: list[BaseException] = []

    @only.workflow(cleans_up=True)
    async def asks(run: Run) -> None:
        try:
            await run.approval("Pay", payload={}, policy=FINANCE, key="pay")
        except BaseException as error:
            raised.append(error)
            try:
                await run.approval("Refund", payload={}, policy=FINANCE, key="refund")
            except InvalidTransition as refused:
                raised.append(refused)
            raise

    async with only:
        execution_id = await started(people, only, "asks")
        await people.pending(execution_id)
        await (await people.get("operator")).cancel(execution_id, "too late")
        ended = await people.ended(execution_id)
    history = await (await people.get("operator")).history(execution_id)
    assert history is not None
    assert [approval.status for approval in history.approvals] == ["WITHDRAWN"]
    assert ended.state is ExecutionState.CANCELLED
    assert [type(each) for each in raised] == [asyncio.CancelledError, InvalidTransition]


async def test_a_grant_is_not_redeemed_any_more(people: People, engine: Made) -> None:
    only = engine()
    paid: list[str] = []
    refused: list[BaseException] = []

    @only.workflow(cleans_up=True)
    async def pays(run: Run) -> None:
        clearance = await run.approval("Pay", payload={}, policy=FINANCE)
        try:
            await run.signal("go")
        finally:
            try:
                await run.step(paid.append, "all", clearance=clearance)
            except InvalidTransition as error:
                refused.append(error)

    async with only:
        execution_id = await started(people, only, "pays")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        await until(lambda: asleep(people, execution_id))
        await (await people.get("operator")).cancel(execution_id, "too late")
        ended = await people.ended(execution_id)
    assert (ended.state, paid, len(refused)) == (ExecutionState.CANCELLED, [], 1)


@pytest.mark.parametrize("cleans_up", [True, False])
async def test_a_step_with_a_clearance_under_way_is_recorded_as_in_doubt(
    people: People, engine: Made, *, cleans_up: bool
) -> None:
    only, begun = engine(), asyncio.Event()

    async def pay(_payload: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    @only.workflow(cleans_up=cleans_up)
    async def pays(run: Run) -> None:
        clearance: Clearance = await run.approval("Pay", payload={}, policy=FINANCE)
        await run.step(pay, clearance.payload, key="pay", clearance=clearance)

    async with only:
        execution_id = await started(people, only, "pays")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        await begun.wait()
        await (await people.get("operator")).cancel(execution_id, "too late")
        ended = await people.ended(execution_id)
    history = await (await people.get("operator")).history(execution_id)
    assert history is not None
    [step] = history.steps
    assert ended.state is ExecutionState.CANCELLED
    assert is_doubt(step.error or "")


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [("returns", "too late"), ("raises", "too late; the clean-up failed: ValueError: no bank")],
)
async def test_whatever_a_clean_up_ends_with_it_is_cancelled(
    people: People, engine: Made, outcome: str, reason: str
) -> None:
    only = engine()

    @only.workflow(cleans_up=True)
    async def ends(run: Run) -> str:
        try:
            await run.signal("go")
        except asyncio.CancelledError:
            if outcome == "raises":
                msg = "no bank"
                raise ValueError(msg) from None
        return "done all the same"

    async with only:
        execution_id = await started(people, only, "ends")
        await until(lambda: asleep(people, execution_id))
        await (await people.get("operator")).cancel(execution_id, "too late")
        ended = await people.ended(execution_id)
    assert (ended.state, ended.error, ended.result) == (ExecutionState.CANCELLED, reason, None)


async def test_without_a_clean_up_it_ends_at_once_and_does_nothing_more(
    people: People, engine: Made
) -> None:
    only = engine()
    done: list[str] = []

    @only.workflow
    async def trip(run: Run) -> None:
        try:
            await run.signal("go")
        finally:
            await run.step(done.append, "late")

    operator = await people.get("operator")
    async with only:
        execution_id = await started(people, only, "trip")
        await until(lambda: asleep(people, execution_id))
        accepted = await operator.cancel(execution_id, "too late")
        assert accepted.execution is not None
        assert accepted.execution.state is ExecutionState.CANCELLED
    ended = await people.ended(execution_id)
    assert (ended.cancel_requested_at, done) == (None, [])
