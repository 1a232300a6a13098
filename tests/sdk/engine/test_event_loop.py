"""The event loop of a workflow: what it refuses, and how what runs in it is stopped or dropped."""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest

from placet import Run
from placet.engine.event_loop import RefusedAttribute, WorkflowLoop
from placet.testing import Trial
from placet.testing.trial import TrialFailed
from tests.sdk.trials import result


async def test_a_workflow_does_not_reach_outside_by_its_loop() -> None:
    async def workflow(run: Run) -> list[str]:
        del run
        loop: Any = asyncio.get_running_loop()
        refused = []
        for name in ("run_in_executor", "add_reader", "run_forever"):
            with pytest.raises(RuntimeError, match=f"can't use the event loop's {name}"):
                getattr(loop, name)
            with pytest.raises(RuntimeError, match=f"can't use the event loop's {name}"):
                setattr(loop, name, print)
            assert hasattr(type(loop), name)
            refused.append(name)
        return refused

    assert await result(workflow) == ["run_in_executor", "add_reader", "run_forever"]


def test_a_workflow_s_loop_has_what_it_does_itself_and_refuses_the_rest() -> None:
    loop: Any = WorkflowLoop(lambda _: asyncio.Future())  # type: ignore[abstract]
    refused = {
        name for name in dir(loop) if isinstance(vars(WorkflowLoop).get(name), RefusedAttribute)
    }
    own = {name for name in vars(WorkflowLoop) if not name.startswith("_")} - refused
    assert own | refused >= {n for n in dir(asyncio.AbstractEventLoop) if not n.startswith("_")}
    for name in refused:
        with pytest.raises(RuntimeError, match=rf"the event loop's {name}, .* step \(run.step\)"):
            getattr(loop, name)


async def connect() -> None:
    await asyncio.open_connection("127.0.0.1", 9)


async def thread() -> None:
    await asyncio.to_thread(print)


async def library() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 1)


async def in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(connect())


@pytest.mark.parametrize("outside", [connect, thread, library, in_a_group])
async def test_what_reaches_outside_is_refused_in_words(outside: Any) -> None:
    async def workflow(run: Run) -> None:
        del run
        await outside()

    with pytest.raises(TrialFailed, match=r"a workflow can't use .* into a step"):
        await result(workflow)


@pytest.mark.parametrize("where", ["step", "workflow"])
async def test_one_that_calls_for_the_end_does_not_end_the_others(where: str) -> None:
    async def ends() -> None:
        raise SystemExit(3)

    async def workflow(run: Run) -> None:
        await (run.step(ends) if where == "step" else ends())

    with pytest.raises(TrialFailed, match="SystemExit: 3"):
        await result(workflow)


@pytest.mark.parametrize("left", [asyncio.CancelledError, GeneratorExit])
async def test_one_that_calls_for_the_end_when_it_is_stopped_does_not_end_the_others(
    left: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def workflow(run: Run) -> None:
        try:
            await run.signal("never")
        except left:
            sys.exit(3)

    async with Trial(workflow) as trial:
        assert await trial.pending() == []
    assert "SystemExit" in caplog.text
    del trial
    gc.collect()
    assert "never retrieved" not in caplog.text


async def grouped(run: Run, closed: list[str]) -> None:
    try:
        async with asyncio.TaskGroup() as outer, asyncio.TaskGroup() as inner:
            outer.create_task(run.signal("never"))
            inner.create_task(run.signal("never"))
            await run.signal("never")
    finally:
        closed.append("grouped")


async def exiting(run: Run, closed: list[str]) -> None:
    @asynccontextmanager
    async def connection() -> AsyncIterator[None]:
        try:
            yield
        finally:
            try:
                await asyncio.sleep(0)
            finally:
                await asyncio.sleep(0)
                closed.append("not reached")

    try:
        async with connection():
            await run.signal("never")
    finally:
        closed.append("exiting")


@pytest.mark.parametrize("waits", [grouped, exiting])
async def test_a_clean_up_that_awaits_is_closed_without_a_warning(
    waits: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "placet.engine")
    closed: list[str] = []

    async def workflow(run: Run) -> None:
        await waits(run, closed)

    async with Trial(workflow) as trial:
        assert await trial.pending() == []
        # Put away, and that is no matter of a warning.
        assert trial._runner is not None
        trial._runner.put_away()
        assert closed == [waits.__name__]
        assert "clean-up" not in caplog.text
        trial.signal("never")


async def test_what_a_clean_up_begins_is_not_begun_outside_of_the_workflow(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun: list[str] = []

    async def told(how: str) -> None:
        begun.append(how)

    async def workflow(run: Run) -> None:
        try:
            try:
                try:
                    await run.signal("never")
                finally:
                    asyncio.create_task(told("task"))  # noqa: RUF006 - none is to be made
                    await asyncio.gather(told("gathered"))
            finally:
                await run.step(begun.append, "step")
        finally:
            await asyncio.to_thread(begun.append, "thread")

    async with Trial(workflow) as trial:
        assert await trial.pending() == []
        assert trial._runner is not None
        trial._runner.put_away()
        # What was begun on the loop around it would be done by now.
        await asyncio.sleep(0.01)
        assert begun == []
        assert "a workflow can't use the event loop's run_in_executor" in caplog.text
        trial.signal("never")
        with pytest.raises(TrialFailed):
            await trial.result()


async def test_a_clean_up_that_raises_or_goes_on_for_ever_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: list[bool] = []

    async def raises() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            msg = "no connection"
            raise OSError(msg)

    async def goes_on() -> None:
        while not ended:
            with suppress(BaseException):
                await asyncio.Event().wait()

    for workflow, warning in ((raises, "no connection"), (goes_on, "does not end")):
        loop: Any = WorkflowLoop(lambda _: asyncio.Future())  # type: ignore[abstract]
        loop.create_task(workflow())
        loop.pump()
        loop.drop()
        assert warning in caplog.text
    ended.append(True)
