"""An approval that is taken back while a workflow waits for it."""

from placet import ApprovalStatus, Engine, ExecutionState, Run, Withdrawn, require
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until

FINANCE = require(1, group="finance")


async def withdraw(people: People, execution_id: str) -> None:
    [approval] = await people.pending(execution_id)
    held = await (await people.get("operator")).execution(execution_id)
    assert held is not None
    # In the name of whoever holds the execution: nobody else may.
    client = await people.get("engine")
    await client.withdraw(approval.id, "the trip is off", fence=held.fence)


async def test_the_workflow_is_told_and_goes_on_live_and_replayed(
    people: People, engine: Made
) -> None:
    told: list[Withdrawn] = []

    def going_on(made: Engine) -> Engine:
        @made.workflow(name="trip")
        async def trip(run: Run) -> str:
            try:
                await run.approval("Trip", payload={}, policy=FINANCE)
            except Withdrawn as withdrawn:
                told.append(withdrawn)
                said = await run.step(str, withdrawn)
                await run.signal("more")
                return said
            return "granted"

        return made

    async def heard() -> bool | None:
        return bool(told) or None

    one, other = going_on(engine()), going_on(engine())
    async with one:
        execution_id = await started(people, one, "trip")
        await withdraw(people, execution_id)
        await until(heard)
    async with other:
        await (await people.get("operator")).signal(execution_id, "more", None)
        ended = await people.ended(execution_id)
    assert (ended.state, ended.result) == (
        ExecutionState.COMPLETED,
        "approval 'approval-1' was withdrawn",
    )
    live, replayed = told
    assert live.approval == replayed.approval
    assert live.approval.status is ApprovalStatus.WITHDRAWN


async def test_one_that_is_not_handled_fails_the_execution(people: People, engine: Made) -> None:
    plain = engine()

    @plain.workflow
    async def trip(run: Run) -> None:
        await run.approval("Trip", payload={}, policy=FINANCE)

    async with plain:
        execution_id = await started(people, plain, "trip")
        await withdraw(people, execution_id)
        ended = await people.ended(execution_id)
    assert (ended.state, ended.error) == (
        ExecutionState.FAILED,
        "Withdrawn: approval 'approval-1' was withdrawn",
    )
