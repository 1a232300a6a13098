"""Code that blocks the event loop of an engine: it is named, and a workflow that does is parked."""

import asyncio
import logging
import time
from collections.abc import Callable

import pytest

from placet import Run
from placet.engine.loop_watchdog import WorkflowBlockedError
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until
from tests.support.patience import HANGS

LONG = 10 * HANGS
"""Seconds that a test does not have: what blocks for so long must be interrupted."""


def sleeps() -> None:
    time.sleep(LONG)


def computes() -> None:
    while True:
        pass


def swallows() -> None:
    try:
        time.sleep(LONG)
    except Exception:  # noqa: BLE001 - code that handles whatever comes
        time.sleep(LONG)


def insists() -> None:
    try:
        time.sleep(LONG)
    except WorkflowBlockedError:
        time.sleep(LONG)


async def spins() -> None:
    while True:
        await asyncio.sleep(0)


BLOCKS = {
    sleeps: "in sleeps: time.sleep(LONG)",
    computes: "in computes: ",
    swallows: "in swallows: time.sleep(LONG)",
    insists: "in insists: time.sleep(LONG)",
}


@pytest.mark.parametrize("blocks", BLOCKS)
async def test_a_workflow_that_blocks_is_named_and_parked_and_others_go_on(
    people: People,
    engine: Made,
    blocks: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    only = engine()

    @only.workflow
    async def blocking(run: Run) -> None:
        del run
        blocks()

    @only.workflow
    async def other(run: Run) -> str:
        return await run.step(time.strftime, "%Y", key="year")

    async with only:
        parked = await started(people, only, "blocking")
        done = await started(people, only, "other")
        assert (await people.ended(done)).error is None
        reason = await people.parked(parked)
    place = f"{__file__}:"
    assert f"the workflow blocked its engine at {place}" in reason
    assert BLOCKS[blocks] in reason
    [named] = [r.getMessage() for r in caplog.records if "blocks the event loop" in r.getMessage()]
    assert f"the workflow of execution {parked} blocks" in named
    assert place in named


async def test_a_workflow_that_never_waits_is_parked(people: People, engine: Made) -> None:
    only = engine()

    @only.workflow
    async def spinning(run: Run) -> None:
        del run
        await spins()

    async with only:
        assert "blocked its engine" in await people.parked(await started(people, only, "spinning"))


async def test_a_clean_up_that_blocks_does_not_stop_the_engine(
    people: People, engine: Made
) -> None:
    only = engine()

    @only.workflow
    async def cleans_up(run: Run) -> None:
        del run
        try:
            sleeps()
        finally:
            sleeps()

    async with only:
        await people.parked(await started(people, only, "cleans_up"))


async def test_where_no_signal_comes_the_workflow_is_parked_when_it_goes_on(
    people: People, engine: Made
) -> None:
    only = engine()
    ended = asyncio.Event()

    @only.workflow
    async def blocking(run: Run) -> None:
        time.sleep(2)  # noqa: ASYNC251 - that is what must not be done
        await run.signal("never")

    async def serve() -> None:
        async with only:
            while not ended.is_set():
                await asyncio.sleep(0.01)

    serving = asyncio.create_task(asyncio.to_thread(asyncio.run, serve()))
    try:
        reason = await people.parked(await started(people, only, "blocking"))
    finally:
        ended.set()
        await serving
    assert "in blocking: time.sleep(2)" in reason


async def test_an_async_step_that_blocks_is_named_and_goes_on(
    people: People, engine: Made, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "placet.engine")
    only = engine()

    async def act() -> str:
        while "in act: time.sleep(0.01)" not in caplog.text:
            time.sleep(0.01)  # noqa: ASYNC251 - that is what must not be done
        return "done"

    @only.workflow
    async def acting(run: Run) -> str:
        return await run.step(act)

    async with only:
        execution = await people.ended(await started(people, only, "acting"))
        assert execution.result == "done"

        async def over() -> bool | None:
            return True if "the event loop stood still for" in caplog.text else None

        await until(over)
