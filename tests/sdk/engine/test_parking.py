"""What becomes of steps that are under way when their execution can't go on here."""

import asyncio
from typing import Any

import pytest

from placet import Clearance, Engine, ExecutionState, Run, require
from placet.client.transport.envelope import BoundOperation
from placet.engine import run_ending
from placet.engine.failure_codec import is_doubt
from placet.errors import Internal
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until

FINANCE = require(1, group="finance")
TOO_LONG = 4e9
"""More seconds than the service has a timer for, which parks."""


class Paying:
    """Two steps that go on until they are let end: one with a clearance, one without."""

    def __init__(self) -> None:
        self.begun, self.go, self.cut = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.payments = 0

    async def both(self, run: Run, clearance: Clearance, limit: float | None = None) -> str:
        done = await asyncio.gather(
            run.step(self.pay, key="pay", clearance=clearance, timeout=limit),
            run.step(self.look, key="look"),
        )
        return done[0]

    async def pay(self) -> str:
        self.payments += 1
        self.begun.set()
        await self.go.wait()
        return "paid"

    async def look(self) -> str:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cut.set()
            raise
        return "looked"


async def cleared(run: Run) -> Clearance:
    return await run.approval("Pay", payload={}, policy=FINANCE, key="leave")


async def begin(people: People, engine: Engine, workflow: str) -> str:
    """Start a workflow and grant what it asks for."""
    execution_id = await started(people, engine, workflow)
    [approval] = await people.pending(execution_id)
    await (await people.get("approver-a")).grant(approval)
    return execution_id


async def steps(people: People, execution_id: str) -> list[tuple[str, object]]:
    """Give what was recorded of the steps, and that it was parked, in order."""
    transcript = await (await people.get("operator")).transcript(execution_id)
    assert transcript is not None
    return [
        (event.data.get("key", event.type), event.data.get("result") or event.data.get("error"))
        for event in transcript.events
        if event.type in {"StepCompleted", "StepFailed", "Parked"}
        and not event.data.get("key", "").startswith("timer")
    ]


@pytest.mark.parametrize("limit", [None, 0.2])
async def test_a_step_with_a_clearance_ends_before_its_execution_is_parked(
    people: People, engine: Made, limit: float | None
) -> None:
    paying, only = Paying(), engine()

    @only.workflow
    async def parks(run: Run) -> None:
        async def too_long() -> None:
            await run.signal("go")
            await asyncio.sleep(TOO_LONG)

        both = paying.both(run, await cleared(run), limit)
        await asyncio.gather(both, too_long(), return_exceptions=True)

    async with only:
        execution_id = await begin(people, only, "parks")
        await paying.begun.wait()
        operator = await people.get("operator")
        await operator.signal(execution_id, "go")
        # What can be begun again is not waited for.
        await paying.cut.wait()
        execution = await operator.execution(execution_id)
        assert execution is not None
        assert (execution.parked is None) or limit
        if limit is None:
            paying.go.set()
        assert "a timer can't be set" in await people.parked(execution_id)
    recorded = await steps(people, execution_id)
    assert [key for key, _ in recorded] == ["pay", "Parked"]
    outcome = str(recorded[0][1])
    assert outcome == "paid" if limit is None else "gave no result within 0.2 s" in outcome
    assert is_doubt(outcome) is (limit is not None)


async def test_one_that_hangs_is_warned_of_and_can_be_cancelled(
    people: People,
    engine: Made,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(run_ending, "REMIND_SECONDS", 0.01)
    paying, only = Paying(), engine()

    @only.workflow
    async def hangs(run: Run) -> None:
        await asyncio.gather(paying.both(run, await cleared(run)), asyncio.sleep(TOO_LONG))

    async with only:
        execution_id = await begin(people, only, "hangs")

        async def warned() -> bool | None:
            return f"{execution_id} can't go on here, and waits for a step" in caplog.text or None

        await until(warned)
        operator = await people.get("operator")
        await operator.cancel(execution_id, "it hangs")
        assert (await people.ended(execution_id)).state is ExecutionState.CANCELLED


async def test_what_was_not_begun_is_not_begun_any_more(people: People, engine: Made) -> None:
    paying, old, new = Paying(), engine(), engine()

    def down() -> None:
        msg = "down"
        raise OSError(msg)

    @old.workflow(name="parks")
    async def fails(run: Run) -> None:
        await cleared(run)
        await run.step(down, key="k")

    @new.workflow(name="parks")
    async def parks(run: Run) -> None:
        clearance = await cleared(run)
        await run.step(str, "live from here on", name="live")
        await asyncio.gather(
            run.step(paying.pay, clearance=clearance), run.step(str, "other", name="other", key="k")
        )

    async with old:
        execution_id = await begin(people, old, "parks")
        failed = await people.ended(execution_id)
    operator = await people.get("operator")
    await operator.retry(failed)
    async with new:
        assert "the workflow now calls it 'other'" in await people.parked(execution_id)
    history = await operator.history(execution_id)
    assert history is not None
    assert (paying.payments, history.approvals[0].redeemed_at) == (0, None)


@pytest.mark.parametrize(
    ("fault", "children"),
    [(Internal("a fault of the service"), 1), (OSError("a fault of the client"), 2)],
    ids=["one fault", "two at once"],
)
async def test_a_step_with_a_clearance_ends_before_faults_give_its_execution_back(
    people: People,
    engine: Made,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
    children: int,
) -> None:
    monkeypatch.setattr("placet.engine.command_batcher._PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("placet.engine.fault_pauses.GIVE_BACK_SECONDS", 0.05)
    paying, only = Paying(), engine()
    execute = only.client.transport.send_once

    async def failing(bound: BoundOperation[Any]) -> Any:
        if not paying.go.is_set() and b"startChild" in b"".join(
            map(bytes, bound.variables["inputs"])
        ):
            raise fault
        return await execute(bound)

    only.client.transport.send_once = failing  # type: ignore[method-assign]

    @only.workflow
    async def lodging(run: Run) -> str:
        return await run.step(str, "lodged")

    @only.workflow
    async def faults(run: Run) -> list[str]:
        async def later() -> list[str]:
            await run.signal("go")
            return list(await asyncio.gather(*(run.child("lodging") for _ in range(children))))

        paid, lodged = await asyncio.gather(paying.both(run, await cleared(run)), later())
        return [paid, *lodged]

    async with only:
        execution_id = await begin(people, only, "faults")
        await paying.begun.wait()
        await (await people.get("operator")).signal(execution_id, "go")
        await paying.cut.wait()
        paying.go.set()
        ended = await people.ended(execution_id)
    assert ended.result == ["paid"] + children * ["lodged"]
    assert (paying.payments, ended.fence) == (1, 2)


async def test_a_mark_is_recorded_with_the_step_that_was_begun_by_it(
    people: People, engine: Made
) -> None:
    paying, only = Paying(), engine()
    held, sent, through = asyncio.Event(), asyncio.Event(), asyncio.Event()
    execute = only.client.transport.send_once

    async def slow(bound: BoundOperation[Any]) -> Any:
        if held.is_set() and not through.is_set():
            sent.set()
            await through.wait()
        return await execute(bound)

    only.client.transport.send_once = slow  # type: ignore[method-assign]

    @only.workflow
    async def another(run: Run) -> None:
        await run.step(held.set)

    @only.workflow
    async def parks(run: Run) -> None:
        clearance = await cleared(run)
        await run.signal("pay")
        if run.patched("new"):
            await run.step(paying.pay, key="pay", clearance=clearance)

    async with only:
        execution_id = await begin(people, only, "parks")
        runner = only.pool.runner(execution_id)

        async def asleep() -> bool | None:
            return (runner.waits_for == "signal 'pay'" and runner.seen is not None) or None

        await until(asleep)
        # Whatever it sends now waits behind what another execution has sent.
        await started(people, only, "another")
        await sent.wait()
        await (await people.get("operator")).signal(execution_id, "pay")

        async def queued() -> bool | None:
            return len(only._batcher._queue) == len(["the mark", "the redemption"]) or None

        await until(queued)
        # As by an answer that came before this signal, and was heard of after it.
        runner.park("its code was changed")
        through.set()
        await paying.begun.wait()
        paying.go.set()
        await people.parked(execution_id)
    recorded = await steps(people, execution_id)
    assert recorded == [("patched:new", True), ("pay", "paid"), ("Parked", None)]
