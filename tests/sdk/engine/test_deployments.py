"""Engines of different code at the same time: each gets what it knows, and nothing is parked."""

import asyncio

import pytest

from placet import Engine, Run
from placet.client.changes import Mode
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until

MODES = pytest.mark.parametrize("mode", ["push", "poll"])
MANY = 20


def register(engine: Engine, version: str) -> None:
    """Register the workflow ``trip`` in one version, which waits for a signal."""

    @engine.workflow(name="trip", version=version)
    async def trip(run: Run) -> str:
        await run.step(str, f"code {version}", key="first")
        await run.signal("go")
        return await run.step(str, f"code {version}", key="last")


async def start(people: People, engine: Engine, version: str) -> str:
    operator = await people.get("operator")
    accepted = await operator.start("trip", queue=engine.queues[0], version=version)
    assert accepted.execution is not None
    return accepted.execution.id


async def finished(people: People, execution_id: str) -> tuple[object, str | None]:
    """Let an execution go on; give its result and why it was parked."""
    await (await people.get("operator")).signal(execution_id, "go")
    ended = await people.ended(execution_id)
    return ended.result, ended.parked


async def events(people: People, execution_ids: list[str]) -> set[str]:
    """Give the types of all events of these executions."""
    operator = await people.get("operator")
    found: set[str] = set()
    for execution_id in execution_ids:
        transcript = await operator.transcript(execution_id)
        assert transcript is not None
        found |= {event.type for event in transcript.events}
    return found


@MODES
async def test_a_rolling_deployment_parks_nothing(people: People, engine: Made, mode: Mode) -> None:
    old, new = engine(wait=mode), engine(wait=mode)
    register(old, "1")
    register(new, "2")
    async with new:
        async with old:
            before = [await start(people, old, "1") for _ in range(MANY)]
            after = [await start(people, old, "2") for _ in range(MANY)]
            ran = await asyncio.gather(*(finished(people, each) for each in before[1:] + after[1:]))
            assert ran == [*[("code 1", None)] * (MANY - 1), *[("code 2", None)] * (MANY - 1)]
        # The last engine of the old code has gone. What it had begun waits for another.
        assert await finished(people, after[0]) == ("code 2", None)
        again = engine(wait=mode)
        register(again, "1")
        async with again:
            assert await finished(people, before[0]) == ("code 1", None)
    assert "Parked" not in await events(people, [*before, *after])


@MODES
async def test_a_new_workflow_waits_for_the_first_engine_that_has_it(
    people: People, engine: Made, mode: Mode
) -> None:
    old, new = engine(wait=mode), engine(wait=mode)

    @old.workflow(name="old")
    async def old_one(run: Run) -> str:
        return await run.step(str, "old")

    @new.workflow(name="new")
    async def new_one(run: Run) -> str:
        return await run.step(str, "new")

    async with old:
        early = await started(people, old, "new")
        # Something that it knows comes and goes meanwhile.
        other = await started(people, old, "old")
        assert (await people.ended(other)).result == "old"
        waiting = await (await people.get("operator")).execution(early)
        assert waiting is not None
        assert (waiting.fence, waiting.parked) == (0, None)
        async with new:
            assert (await people.ended(early)).result == "new"


async def test_what_comes_to_an_engine_that_does_not_know_it_goes_back_at_once(
    people: People, engine: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As by a worker of the same name that was restarted with other code.
    monkeypatch.setattr("placet.engine.fault_pauses.GIVE_BACK_SECONDS", 600)
    before, new = engine(worker="same"), engine(worker="same")
    register(before, "1")
    register(new, "2")
    operator = await people.get("operator")
    async with before:
        execution_id = await start(people, before, "1")

        async def asleep() -> bool | None:
            execution = await operator.execution(execution_id)
            return (execution is not None and execution.asleep) or None

        await until(asleep)
        before.pool.close = lambda *_given: asyncio.sleep(0)  # type: ignore[method-assign]
    async with new:

        async def given_back() -> bool | None:
            return len(new.pool) == 0 or None

        await until(given_back)
        third = engine()
        register(third, "1")
        async with third:
            assert await finished(people, execution_id) == ("code 1", None)
