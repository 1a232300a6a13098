"""Histories recorded by a service, replayed against code without one."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from placet import Run, require
from placet.errors import Nondeterministic
from placet.testing import Trial, replay
from tests.sdk.engines import maker, started
from tests.sdk.people import People, Server

FINANCE = require(1, group="finance")


async def permit(run: Run, trip: dict[str, str]) -> str:
    cost = await run.step(lambda: 12, name="estimate")
    await run.sleep(timedelta(milliseconds=10))
    clearance = await run.approval(f"Trip to {trip['to']}", payload=cost, policy=FINANCE)
    return await run.step(lambda: "booked", name="book", clearance=clearance)


async def waiting(run: Run, trip: dict[str, str]) -> str:
    booked = await permit(run, trip)
    await run.signal("home")
    return booked


async def other_step(run: Run, trip: dict[str, str]) -> str:
    await run.step(lambda: 12, name="guess")
    return await permit(run, trip)


async def other_title(run: Run, trip: dict[str, str]) -> str:
    return await permit(run, {"to": trip["to"].upper()})


async def other_result(run: Run, trip: dict[str, str]) -> str:
    return (await permit(run, trip)).upper()


async def without_clearance(run: Run, trip: dict[str, str]) -> str:
    cost = await run.step(lambda: 12, name="estimate")
    await run.sleep(timedelta(milliseconds=10))
    await run.approval(f"Trip to {trip['to']}", payload=cost, policy=FINANCE)
    return await run.step(lambda: "booked", name="book")


async def raising(run: Run, trip: dict[str, str]) -> str:
    await run.step(lambda: 12, name="estimate")
    raise KeyError(trip["to"])


@pytest.fixture
async def transcript(people: People, server: Server) -> bytes:
    """Run the workflow once, and export what was recorded."""
    engine = maker(server)()
    engine.workflow(permit)
    async with engine:
        execution_id = await started(people, engine, "permit", {"to": "Eindhoven"})
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        await people.ended(execution_id)
    found = await (await people.get("operator")).transcript(execution_id)
    return msgspec.json.encode(found)


async def test_a_recorded_history_is_replayed(transcript: bytes) -> None:
    replay(transcript, permit)


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (other_step, "the record goes on with StepCompleted 'estimate-1'"),
        (other_title, "was asked for with another title"),
        (other_result, "ends with 'BOOKED', and not with 'booked' as recorded"),
        (waiting, "the record ends with COMPLETED"),
        (
            without_clearance,
            r"'book-1' redeemed approval 'approval-1' \(version \d+\), .* no clear",
        ),
        (raising, r"the record goes on with TimerSet 'timer-1' .* but the workflow has ended"),
    ],
)
async def test_the_first_difference_is_named(
    transcript: bytes, changed: object, difference: str
) -> None:
    with pytest.raises(Nondeterministic, match=difference):
        replay(transcript, changed)  # type: ignore[arg-type]


async def test_a_difference_names_its_execution_and_what_the_workflow_raised(
    transcript: bytes,
) -> None:
    execution_id = msgspec.json.decode(transcript)["execution"]["id"]
    with pytest.raises(Nondeterministic, match=f"^execution {execution_id} of workflow 'permit': "):
        replay(transcript, other_step)
    with pytest.raises(Nondeterministic) as raised:
        replay(transcript, raising)
    assert isinstance(raised.value.__cause__, Nondeterministic)
    assert repr(raised.value.__cause__.__cause__) == "KeyError('Eindhoven')"


@pytest.mark.parametrize(
    ("was", "now", "difference"),
    [
        (None, "a", "was done without a clearance .* that of approval 'a'"),
        ("a", "b", "redeemed approval 'a' .* that of approval 'b'"),
        ("a", None, "redeemed approval 'a' .* no clearance"),
    ],
)
async def test_a_clearance_that_a_step_had_not_or_another_is_a_difference(
    was: str | None, now: str | None, difference: str
) -> None:
    using = was

    async def workflow(run: Run) -> None:
        clearances = {
            key: await run.approval(key, payload=1, policy=FINANCE, key=key) for key in "ab"
        }
        clearance = None if using is None else clearances[using]
        await run.step(lambda: 1, name="act", clearance=clearance)

    trial = Trial(workflow)
    await trial.__aenter__()
    trial.grant(await trial.approval("a"))
    trial.grant(await trial.approval("b"))
    await trial.result()
    using = now
    with pytest.raises(Nondeterministic, match=difference):
        await trial.__aexit__(None, None, None)


async def test_a_group_of_errors_is_the_same_end_without_its_members(
    people: People, server: Server
) -> None:
    async def grouped(run: Run) -> None:
        await run.step(str, "begun")
        async with asyncio.TaskGroup() as group:
            group.create_task(run.signal(""))

    engine = maker(server)()
    engine.workflow(grouped)
    async with engine:
        execution_id = await started(people, engine, "grouped")
        await people.ended(execution_id)
    found = await (await people.get("operator")).transcript(execution_id)
    assert found is not None
    replay(found, grouped)
    # So it was once recorded.
    short = "ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)"
    execution = msgspec.structs.replace(found.execution, error=short)
    replay(msgspec.structs.replace(found, execution=execution), grouped)
    execution = msgspec.structs.replace(found.execution, error=f"{short}: OSError: down")
    with pytest.raises(Nondeterministic, match=r"and not with .* OSError"):
        replay(msgspec.structs.replace(found, execution=execution), grouped)
