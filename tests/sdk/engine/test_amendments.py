"""A workflow acts on the payload that was granted in the end, and so does its replay."""

from dataclasses import dataclass

import pytest

from placet import Run, require
from placet.errors import AlreadyDecided, DigestMismatch, InvalidInput
from placet.testing import replay
from tests.sdk.engines import Made, started
from tests.sdk.people import People

TWO = require(2, group="finance", amendable=True)


@dataclass(frozen=True)
class Order:
    lamps: int


def place(order: Order) -> str:
    return f"placed {order.lamps}"


async def ordering(run: Run) -> str:
    clearance = await run.approval("Order", payload=Order(5), policy=TWO)
    return await run.step(place, clearance.payload, clearance=clearance)


async def test_the_step_acts_on_what_was_granted_in_the_end(people: People, engine: Made) -> None:
    ann, bob = await people.get("approver-a"), await people.get("approver-b")
    one = engine()
    one.workflow(ordering)
    async with one:
        execution_id = await started(people, one, "ordering")
        [asked] = await people.pending(execution_id)
        await ann.grant(asked)
        amended = await bob.grant(asked, amended_payload=Order(3))
        assert (await bob.grant(asked, amended_payload=Order(3))).repeated
        with pytest.raises(AlreadyDecided):
            await bob.grant(asked, amended_payload=Order(2))
        with pytest.raises(DigestMismatch):
            await ann.reject(asked, comment="too many")
        assert amended.approval is not None
        assert [each.counts for each in amended.approval.decisions] == [False, True]
        assert amended.approval.amendments[0].by.id == "approver-b"
        await ann.grant(amended.approval)
        assert (await people.ended(execution_id)).result == "placed 3"
    transcript = await (await people.get("engine")).transcript(execution_id)
    assert transcript is not None
    replay(transcript, ordering)


async def test_another_worker_goes_on_with_an_amended_approval(
    people: People, engine: Made
) -> None:
    one, other = engine(), engine()
    for each in (one, other):
        each.workflow(ordering)
    async with one:
        execution_id = await started(people, one, "ordering")
        [asked] = await people.pending(execution_id)
    amended = await (await people.get("approver-a")).grant(asked, amended_payload=Order(3))
    async with other:
        assert amended.approval is not None
        await (await people.get("approver-b")).grant(amended.approval)
        assert (await people.ended(execution_id)).result == "placed 3"


async def test_what_a_policy_does_not_allow_is_refused(people: People) -> None:
    engine = await people.get("engine")
    asked = await engine.request_approval(
        await people.start("plain"), "go", "T", payload={}, policy=require(group="finance")
    )
    assert asked.approval is not None
    with pytest.raises(InvalidInput, match="not amendable"):
        await (await people.get("approver-a")).grant(asked.approval, amended_payload={"a": 1})
