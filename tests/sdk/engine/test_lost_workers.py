"""A workflow or a step that kills its process does not kill one engine after the other."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from placet import ExecutionState, Run
from placet.engine import lost_workers
from placet.engine.history import arranged
from placet.engine.lost_workers import SuspectTurns
from placet.models.responses import Actor, Execution
from placet.models.worker_responses import Past, Transcript
from tests.sdk import killed_engine
from tests.sdk.engines import Made, started
from tests.sdk.people import People, Server
from tests.support.patience import HANGS

NEXT = {"kills": "step 'die-1'", "kills in its code": "the workflow's own code"}


@pytest.mark.parametrize("workflow", NEXT)
async def test_after_some_it_is_parked_and_what_was_next_is_named(
    people: People, server: Server, monkeypatch: pytest.MonkeyPatch, workflow: str
) -> None:
    # The engine below takes over after two. Workflow code is not even replayed then.
    monkeypatch.setattr(lost_workers, "LIMIT", 0 if workflow == "kills" else -1)
    queue, goes_on = f"queue-{uuid4()}", asyncio.Event()
    goes_on.set()
    token = server.tokens["engine"]
    other = killed_engine.engine(server.url, token, queue, goes_on)
    execution_id = await started(people, other, workflow)
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.sdk.killed_engine", server.url, token, queue
        )
        async with asyncio.timeout(HANGS):
            assert await process.wait() == 1
    async with other:
        reason = await people.parked(execution_id)
        assert reason.startswith("2 workers in a row ended before they recorded anything of it")
        assert f"what was next is {NEXT[workflow]}, after version " in reason
        # A person may let it go on, and then it is not parked for the same again.
        await (await people.get("operator")).unpark(execution_id)
        assert (await people.ended(execution_id)).result == other.worker


def claimed(*, taken_over: bool = True) -> tuple[str, dict[str, object]]:
    return "Claimed", {"takenOver": taken_over}


def step(key: str) -> tuple[str, dict[str, object]]:
    return "StepCompleted", {"key": key, "name": "s", "attempt": 1, "result": None}


MARK = step("patched:placet:alone:5")
STARTED = ("Started", dict[str, object]())
FIRST = claimed(taken_over=False)


@pytest.mark.parametrize(
    ("events", "lost", "alone"),
    [
        ([STARTED, FIRST], 0, 0),
        ([STARTED, FIRST, claimed(), claimed()], 2, 0),
        ([STARTED, FIRST, claimed(), claimed(), step("a")], 0, 0),
        ([STARTED, FIRST, claimed(), claimed(), MARK], 2, 0),
        ([STARTED, FIRST, claimed(), claimed(), MARK, claimed()], 3, 1),
        ([STARTED, FIRST, claimed(), claimed(), MARK, MARK, claimed(), MARK, claimed()], 4, 2),
        # What was given back has lost no worker.
        ([STARTED, FIRST, claimed(), MARK, FIRST, claimed()], 2, 0),
        ([STARTED, FIRST, claimed(), MARK, claimed(), step("a"), claimed()], 1, 0),
    ],
)
def test_only_workers_that_were_lost_count(
    events: list[tuple[str, dict[str, object]]], lost: int, alone: int
) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    past = [
        Past(position=str(n), version=n, type=kind, at=at, data=content)
        for n, (kind, content) in enumerate(events, start=1)
    ]
    execution = Execution(
        id="x", workflow="w", queue="q", state=ExecutionState.RUNNING, version=len(past), fence=1,
        labels=[], initiator=Actor(id="ada"), started_at=at, updated_at=at,
    )  # fmt: skip
    found = arranged(Transcript(execution=execution, events=past, approvals=[]))
    assert (found.lost, found.alone) == (lost, alone)
    assert [each.data["key"] for each in found.first] == [
        content["key"] for _, content in events if content.get("key") == "a"
    ]


async def test_those_that_lost_their_workers_are_begun_one_at_a_time(
    people: People, engine: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    only, begun, go = engine(), asyncio.Queue[str](), asyncio.Semaphore(0)

    async def work(name: str) -> str:
        begun.put_nowait(name)
        await go.acquire()
        return name

    @only.workflow
    async def works(run: Run) -> object:
        return await run.step(work, run.execution_id)

    ids = {await started(people, only, "works") for _ in range(3)}
    monkeypatch.setattr(lost_workers, "SUSPECT", 1)
    first = await people.get("engine")
    claims = await first.claim("dead", queues=only.queues, limit=3, lease=timedelta(seconds=1))
    assert {each.execution.id for each in claims} == ids
    async with only:
        for _ in ids:
            await begun.get()
            # The others would have been begun by now: what they wait for is their turn.
            assert len([r for r in only.pool.held() if r.instance is not None]) == 1
            assert begun.empty()
            go.release()
        for execution_id in ids:
            assert (await people.ended(execution_id)).result == execution_id


async def test_a_turn_ends_by_itself_and_who_has_gone_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lost_workers, "TURN_SECONDS", 0)
    turns, had = SuspectTurns(), list[str]()

    async def begin(name: str, begun: int) -> None:
        await turns.wait(name, begun)
        had.append(name)

    beginning = [asyncio.create_task(begin(*each)) for each in (("a", 0), ("b", 2), ("c", 1))]
    gone = asyncio.create_task(begin("d", 0))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(*beginning)
    assert had == ["a", "c", "b"]
