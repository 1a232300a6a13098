"""Handles for children, and what becomes of children at the end of their parent."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from placet import ChildFailed, ChildHandle, ExecutionState, Run, errors
from placet.testing import Trial
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until


@dataclass
class Room:
    """What a typed child gives."""

    name: str
    nights: int


async def lodging(run: Run, nights: int) -> Room:
    return Room(await run.signal("name", str), nights)


async def endless(run: Run) -> None:
    await run.signal("never")


async def child_of(people: People, parent: str, key: str) -> str:
    operator = await people.get("operator")

    async def found() -> str | None:
        children = await operator.children(parent)
        return next((each.execution_id for each in children if each.key == key), None)

    return await until(found)


async def state_of(people: People, execution_id: str) -> ExecutionState:
    execution = await (await people.get("operator")).execution(execution_id)
    assert execution is not None
    return execution.state


async def test_a_child_is_signalled_and_gives_a_typed_result(people: People, engine: Made) -> None:
    works = engine()
    works.workflow(name="lodging.v7", version="7")(lodging)
    seen: list[ChildHandle[Room]] = []

    @works.workflow
    async def trip(run: Run) -> dict[str, Any]:
        child = await run.start_child(lodging, 3)
        seen.append(child)
        await child.signal("name", "Ritz")
        room = await child.result()
        return {"id": child.id, "room": room.name, "nights": room.nights}

    async with works:
        ended = await people.ended(await started(people, works, "trip"))
        child = await child_of(people, ended.id, "lodging.v7-1")
    assert ended.result == {"id": child, "room": "Ritz", "nights": 3}
    assert seen[0].key == "lodging.v7-1"
    execution = await (await people.get("operator")).execution(child)
    assert execution is not None
    assert (execution.workflow, execution.workflow_version) == ("lodging.v7", "7")


async def test_a_child_is_cancelled_by_its_handle(people: People, engine: Made) -> None:
    works = engine()
    works.workflow(endless)

    @works.workflow
    async def changes_its_mind(run: Run) -> str:
        child = await run.start_child(endless)
        await child.cancel("not needed")
        try:
            await child.result()
        except ChildFailed as failed:
            await child.cancel("it has ended, so this changes nothing")
            try:
                await child.signal("too late")
            except errors.InvalidTransition as late:
                return f"{failed.outcome}: {late.code}"
        return "unexpected"

    async with works:
        ended = await people.ended(await started(people, works, "changes_its_mind"))
    assert ended.result == "CANCELLED: INVALID_TRANSITION"


async def test_a_handle_is_the_same_after_the_workflow_was_put_away(
    people: People, engine: Made
) -> None:
    works = engine(put_away=timedelta(0))
    works.workflow(lodging)
    ids: list[str] = []

    @works.workflow
    async def patient(run: Run) -> str:
        child = await run.start_child(lodging, 1)
        ids.append(child.id)
        await run.signal("go")
        await child.signal("name", "Ritz")
        return (await child.result()).name

    operator = await people.get("operator")
    async with works:
        id_ = await started(people, works, "patient")
        await operator.wait(id_, until=lambda execution: execution.asleep, timeout=30)
        await asyncio.sleep(0.1)
        await operator.signal(id_, "go")
        ended = await people.ended(id_)
    assert ended.result == "Ritz"
    assert len(ids) > 1
    assert len(set(ids)) == 1


async def test_the_end_of_a_workflow_waits_for_its_children(people: People, engine: Made) -> None:
    works = engine()
    works.workflow(lodging)

    @works.workflow
    async def waits(run: Run, how: str) -> str:
        await run.start_child(lodging, 2, on_parent_end="wait")
        if how == "fails":
            msg = "no"
            raise OSError(msg)
        return "done"

    operator = await people.get("operator")
    async with works:
        ids = {how: await started(people, works, "waits", how) for how in ("returns", "fails")}
        for id_ in ids.values():
            child = await child_of(people, id_, "lodging-1")
            await operator.wait(id_, until=lambda execution: execution.asleep, timeout=30)
            assert await state_of(people, id_) is ExecutionState.RUNNING
            await operator.signal(child, "name", "Ritz")
        ended = {how: await people.ended(id_) for how, id_ in ids.items()}
    assert ended["returns"].result == "done"
    assert ended["fails"].error == "OSError: no"


async def test_children_are_cancelled_or_left_at_the_end_of_their_parent(
    people: People, engine: Made
) -> None:
    works = engine()
    works.workflow(endless)

    @works.workflow
    async def ends(run: Run) -> None:
        await run.start_child(endless, key="cancel", on_parent_end="cancel")
        await run.start_child(endless, key="abandon", on_parent_end="abandon")

    async with works:
        ended = await people.ended(await started(people, works, "ends"))
        cancelled = await child_of(people, ended.id, "cancel")
        assert (await people.ended(cancelled)).error == "its parent was completed"
        left = await child_of(people, ended.id, "abandon")
        assert not (await state_of(people, left)).final
        await (await people.get("operator")).cancel(left, "the test is over")


async def test_a_retried_parent_has_the_handle_of_its_new_child(
    people: People, engine: Made
) -> None:
    works = engine()
    works.workflow(lodging)

    @works.workflow
    async def parent(run: Run) -> str:
        child = await run.start_child(lodging, 1)
        await run.signal("go")
        await child.signal("name", child.id)
        return (await child.result()).name

    operator = await people.get("operator")
    async with works:
        id_ = await started(people, works, "parent")
        first = await child_of(people, id_, "lodging-1")
        await operator.cancel(first, "a wrong one")
        await operator.signal(id_, "go")
        failed = await people.ended(id_)
        assert failed.error is not None
        assert failed.error.startswith("InvalidTransition: INVALID_TRANSITION: ")
        await operator.retry(failed)
        ended = await people.ended(id_, after=failed.version)
        second = await child_of(people, id_, "lodging-1")
    assert (ended.result, first == second) == (second, False)


async def test_an_unknown_policy_is_refused_at_once() -> None:
    async def workflow(run: Run) -> None:
        with pytest.raises(ValueError, match="on_parent_end is 'cancel', 'abandon' or 'wait'"):
            await run.child("other", on_parent_end="leave")  # type: ignore[call-overload]

    async with Trial(workflow) as trial:
        await trial.result()


async def test_a_trial_gives_handles_too() -> None:
    async def parent(run: Run) -> str:
        child = await run.start_child("quote", 2, kind=int)
        await child.cancel("it has ended already")
        return f"{await child.result()} {len(child.id)}"

    async with Trial(parent, children={"quote": lambda given: given + 1}) as trial:
        assert await trial.result() == "3 36"
