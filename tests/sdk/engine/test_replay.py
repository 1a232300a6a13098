"""A workflow that another engine replays: the same way through the same code, or none at all."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from placet import Engine, ExecutionState, Rejected, Run, require
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until
from tests.support.patience import HANGS

FINANCE = require(1, group="finance")
LEGAL = require(1, group="legal")

Workflow = Callable[[Run], Coroutine[Any, Any, Any]]


def having(engine: Engine, workflow: Workflow) -> Engine:
    engine.workflow(name="changing")(workflow)
    return engine


async def change(people: People, engine: Made, workflow: Workflow) -> str:
    """Run a workflow until it waits for a person, who grants once no engine is there."""
    async with having(engine(), workflow) as one:
        execution_id = await started(people, one, "changing")
        [approval] = await people.pending(execution_id)
    await (await people.get("approver-a")).grant(approval)
    return execution_id


async def asked(run: Run, **changes: Any) -> Any:
    given: dict[str, Any] = {
        "title": "Trip", "payload": {"to": "Eindhoven"}, "policy": FINANCE, **changes,
    }  # fmt: skip
    return (await run.approval(**given)).payload


async def recorded(run: Run) -> str:
    await run.step(str, "first", name="first")
    await asked(run)
    return await run.step(str, "done", name="last")


async def test_a_step_that_came_instead_of_another_parks_the_execution(
    people: People, engine: Made
) -> None:
    async def renamed(run: Run) -> None:
        await run.step(str, "1", name="other")
        await asked(run)

    execution_id = await change(people, engine, recorded)
    async with having(engine(), renamed):
        reason = await people.parked(execution_id)
    assert reason.startswith(
        "the record goes on with StepCompleted 'first-1' (version 3),"
        " but the workflow asks for step 'other-1'"
    )
    operator = await people.get("operator")
    async with having(engine(), recorded):
        await operator.unpark(execution_id)
        assert (await people.ended(execution_id)).result == "done"


async def test_a_workflow_that_ends_too_early_parks_the_execution(
    people: People, engine: Made
) -> None:
    async def shorter(run: Run) -> None:
        await run.step(str, "first", name="first")

    execution_id = await change(people, engine, recorded)
    async with having(engine(), shorter):
        reason = await people.parked(execution_id)
    assert reason == (
        "the record goes on with ApprovalRequested 'approval-1' (version 4),"
        " but the workflow has ended"
    )


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"title": "Journey"}, "title"),
        ({"description": "by train"}, "description"),
        ({"payload": {"to": "Utrecht"}}, "payload"),
        ({"policy": LEGAL}, "policy"),
    ],
)
async def test_an_approval_of_something_else_is_never_taken_for_this_one(
    people: People, engine: Made, changes: dict[str, Any], what: str
) -> None:
    async def other(run: Run) -> None:
        await run.step(str, "first", name="first")
        await asked(run, **changes)

    execution_id = await change(people, engine, recorded)
    async with having(engine(), other):
        reason = await people.parked(execution_id)
    assert reason == f"approval 'approval-1' was asked for with another {what} (version 4)"


async def test_a_patch_runs_the_new_code_only_where_the_old_one_has_not_passed(
    people: People, engine: Made
) -> None:
    async def patched(run: Run) -> list[object]:
        before = run.patched("before")
        await run.step(str, "first", name="new" if before else "first")
        await asked(run)
        after = run.patched("after")
        return [before, after, await run.step(str, "x", name="new" if after else "last")]

    execution_id = await change(people, engine, recorded)
    async with having(engine(), patched):
        assert (await people.ended(execution_id)).result == [False, True, "x"]


async def test_what_was_patched_stays_patched(people: People, engine: Made) -> None:
    async def patched(run: Run) -> list[object]:
        before = run.patched("before")
        await run.step(str, "first", name="new" if before else "first")
        await asked(run)
        return [before]

    execution_id = await change(people, engine, patched)
    async with having(engine(), patched):
        assert (await people.ended(execution_id)).result == [True]


async def test_a_patch_has_one_answer_for_all_places(people: People, engine: Made) -> None:
    approver = await people.get("approver-a")

    async def old(run: Run) -> list[str]:
        said = []
        for n in range(3):
            said.append(await run.step(str, "old", name=f"old-{n}"))
            await asked(run)
        return said

    async def new(run: Run) -> list[str]:
        said = []
        for n in range(3):
            code = "new" if run.patched("code") else "old"
            said.append(await run.step(str, code, name=f"{code}-{n}"))
            await asked(run)
        return said

    execution_id = await change(people, engine, old)
    for _ in range(2):
        async with having(engine(), new):
            [approval] = await people.pending(execution_id)
        await approver.grant(approval)
    async with having(engine(), new):
        assert (await people.ended(execution_id)).result == ["old", "old", "old"]


async def test_a_signal_before_the_first_worker_makes_no_old_execution(
    people: People, engine: Made
) -> None:
    async def patched(run: Run) -> bool:
        new = run.patched("new")
        await run.signal("go")
        return new

    only = having(engine(), patched)
    execution_id = await started(people, only, "changing")
    await (await people.get("operator")).signal(execution_id, "go")
    async with only:
        assert (await people.ended(execution_id)).result is True


async def test_versions_run_side_by_side(people: People, engine: Made) -> None:
    operator = await people.get("operator")
    both = engine()

    @both.workflow(name="changing", version="1")
    async def old(run: Run) -> str:
        await asked(run)
        return "old"

    @both.workflow(name="changing", version="2")
    async def new(run: Run) -> str:
        await asked(run)
        return "new"

    results = {}
    async with both:
        for version in ("1", "2"):
            accepted = await operator.start("changing", version=version, queue=both.queues[0])
            assert accepted.execution is not None
            [approval] = await people.pending(accepted.execution.id)
            await (await people.get("approver-a")).grant(approval)
            results[version] = (await people.ended(accepted.execution.id)).result
    assert results == {"1": "old", "2": "new"}


async def test_what_came_first_comes_first_again(people: People, engine: Made) -> None:
    seen: list[list[str]] = []

    async def racing(run: Run) -> list[str]:
        order: list[str] = []
        seen.append(order)

        async def one(name: str, policy: Any) -> None:
            await run.approval(name, payload=name, policy=policy, key=name)
            order.append(name)
            await run.step(str, name, name=f"after-{len(order)}")

        await asyncio.gather(one("law", LEGAL), one("money", FINANCE))
        await asked(run)
        return order

    async with having(engine(), racing) as first:
        execution_id = await started(people, first, "changing")
        law, money = await people.pending(execution_id, 2)
        await (await people.get("approver-a")).grant(money)
        await (await people.get("approver-c")).grant(law)
        [last] = [a for a in await people.pending(execution_id) if a.key == "approval-1"]
    await (await people.get("approver-a")).grant(last)
    async with having(engine(), racing):
        assert (await people.ended(execution_id)).result == ["money", "law"]
    assert seen == [["money", "law"]] * 2


async def test_a_workflow_that_was_put_away_goes_on(people: People, engine: Made) -> None:
    instances: list[str] = []
    steps: list[str] = []

    async def waiting(run: Run) -> str:
        instances.append("play")
        await run.step(steps.append, "step", name="first")
        await asked(run)
        return "done"

    async with having(engine(put_away=timedelta(seconds=0.05)), waiting) as only:
        execution_id = await started(people, only, "changing")
        [approval] = await people.pending(execution_id)
        runner = only.pool.runner(execution_id)
        async with asyncio.timeout(HANGS):
            while not runner.away:
                await asyncio.sleep(0.01)
        await (await people.get("approver-a")).grant(approval)
        ended = await people.ended(execution_id)
    assert (ended.result, ended.fence) == ("done", 1)
    assert (instances, steps) == (["play", "play"], ["step"])


async def test_long_workflows_stay_in_memory_and_the_one_that_waited_longest_is_put_away(
    people: People, engine: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("placet.engine.idle_runners.LONG", 3)
    monkeypatch.setattr("placet.engine.idle_runners.STAYING", 2)
    runs: list[str] = []

    async def waiting(run: Run) -> str:
        runs.append(run.execution_id)
        for number in range(run.input):
            await run.step(str, number)
        await run.signal("go")
        await run.signal("end")
        return "done"

    async def waits(execution_id: str, *, away: bool) -> None:
        async def there() -> bool | None:
            for runner in only.pool.held():
                if runner.execution.id == execution_id and runner.seen is not None:
                    return True if runner.away is away else None
            return None

        await until(there)

    async with having(engine(put_away=timedelta(seconds=0.05)), waiting) as only:
        operator = await people.get("operator")
        first = await started(people, only, "changing", 5)
        await waits(first, away=False)
        second = await started(people, only, "changing", 5)
        await waits(second, away=False)
        short = await started(people, only, "changing", 1)
        await waits(short, away=True)
        assert not any(only.pool.runner(each).away for each in (first, second))
        # From now on it has waited for a shorter time than the second.
        await operator.signal(first, "go", key="go")
        await waits(first, away=False)
        third = await started(people, only, "changing", 5)
        await waits(second, away=True)
        assert not only.pool.runner(first).away
        for each in (first, second, third, short):
            await operator.signal(each, "go", key="again")
            await operator.signal(each, "end", key="end")
        for each in (first, second, third, short):
            assert (await people.ended(each)).result == "done"
    assert sorted(runs) == sorted([first, second, third, short, second, short])


async def test_a_retry_may_take_another_way_than_the_failure(people: People, engine: Made) -> None:
    operator = await people.get("operator")
    broken = True
    done: list[str] = []

    def frail() -> str:
        done.append("frail")
        if broken:
            msg = "down"
            raise OSError(msg)
        return "up"

    async def recovering(run: Run) -> list[str]:
        await run.step(done.append, "first", name="first")
        try:
            said = await run.step(frail)
        except Exception:
            await run.step(done.append, "clean", name="clean-up")
            raise
        try:
            await run.approval("Trip", payload=said, policy=FINANCE)
        except Rejected:
            await run.step(done.append, "sorry", name="apology")
            raise
        return done

    async with having(engine(), recovering) as only:
        execution_id = await started(people, only, "changing")
        failed = await people.ended(execution_id)
        broken = False
        await operator.retry(failed)
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).reject(approval, comment="no")
        again = await people.ended(execution_id, after=failed.version)
        await operator.retry(again)
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        ended = await people.ended(execution_id, after=again.version)
    assert ended.state is ExecutionState.COMPLETED
    assert done == ["first", "frail", "clean", "frail", "sorry"]
