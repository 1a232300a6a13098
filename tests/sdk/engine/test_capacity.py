"""How many steps an engine does at once."""

import asyncio

from placet import Clearance, Run, require
from placet.testing import Trial
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until


class Crowd:
    """Steps that go on until they are let end, counted."""

    def __init__(self) -> None:
        self.begun = self.under_way = self.most = 0
        self.go = asyncio.Event()

    async def stay(self) -> None:
        self.begun += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.go.wait()
        self.under_way -= 1


async def test_an_engine_does_as_many_async_steps_at_once_as_its_capacity(
    people: People, engine: Made
) -> None:
    crowd, only = Crowd(), engine(capacity=2)

    @only.workflow
    async def crowding(run: Run) -> None:
        await asyncio.gather(*(run.step(crowd.stay) for _ in range(6)))

    async with only:
        execution_id = await started(people, only, "crowding")

        async def full() -> bool | None:
            return True if crowd.begun == 2 else None

        await until(full)
        # Whatever else could begin would do so now.
        await (await people.get("operator")).execution(execution_id)
        crowd.go.set()
        assert (await people.ended(execution_id)).error is None
    assert (crowd.begun, crowd.most) == (6, 2)


async def test_what_waits_for_its_turn_is_neither_timed_nor_redeemed(
    people: People, engine: Made
) -> None:
    crowd, only = Crowd(), engine(capacity=1)

    async def pay() -> str:
        return "paid"

    @only.workflow
    async def paying(run: Run) -> str:
        clearance: Clearance = await run.approval(
            "Pay", payload={}, policy=require(1, group="finance")
        )
        staying = asyncio.create_task(run.step(crowd.stay))
        await asyncio.sleep(0)
        paid = asyncio.create_task(run.step(pay, clearance=clearance, timeout=0.05))
        await run.signal("go")
        crowd.go.set()
        await staying
        return await paid

    async with only:
        execution_id = await started(people, only, "paying")
        [approval] = await people.pending(execution_id)
        approver = await people.get("approver-a")
        await approver.grant(approval)

        async def full() -> bool | None:
            return True if crowd.begun == 1 else None

        await until(full)
        # Longer than the timeout of the step that waits for its turn.
        await asyncio.sleep(0.1)
        current = await approver.approval(approval.id)
        assert current is not None
        assert current.redeemed_at is None
        await (await people.get("operator")).signal(execution_id, "go", key="go")
        assert (await people.ended(execution_id)).result == "paid"


async def test_a_trial_does_all_steps_at_once() -> None:
    crowd = Crowd()

    async def workflow(run: Run) -> None:
        steps = [asyncio.create_task(run.step(crowd.stay)) for _ in range(200)]
        await asyncio.wait(steps)

    async with Trial(workflow) as trial:
        while crowd.begun < 200:
            await asyncio.sleep(0)
        crowd.go.set()
        await trial.result()
