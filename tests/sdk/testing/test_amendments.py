"""A grant that changes the payload: the workflow acts on what was granted, also in a replay."""

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel

from placet import Clearance, Run, require
from placet.errors import AlreadyDecided, InvalidInput
from placet.testing import Trial, TrialFailed

FINANCE = require(2, group="finance", amendable=True)


@dataclass(frozen=True)
class Order:
    lamps: int
    to: str = "Kiel"


class Quote(BaseModel):
    euros: float


def place(order: Any) -> str:
    return f"{type(order).__name__}: {order}"


async def ordering(run: Run, lamps: int) -> str:
    clearance = await run.approval("Order", payload=Order(lamps), policy=FINANCE)
    return await run.step(place, clearance.payload, clearance=clearance)


async def test_the_step_acts_on_the_payload_as_granted_with_the_types_of_the_one_asked() -> None:
    async with Trial(ordering, 5) as trial:
        approval = await trial.approval()
        trial.grant(approval, by="ada", resolves=False)
        trial.grant(approval, by="bob", amended_payload={"lamps": 3, "to": "Bonn"}, resolves=False)
        [pending] = await trial.pending()
        assert pending.payload == {"lamps": 3, "to": "Bonn"}
        assert pending.digest != approval.digest
        assert [each.counts for each in pending.decisions] == [False, True]
        with pytest.raises(AlreadyDecided):
            trial.grant(pending, by="bob")
        trial.grant(pending, by="ada")
        assert await trial.result() == "Order: Order(lamps=3, to='Bonn')"
        [resolved] = trial.approvals
        [amendment] = resolved.amendments
        assert (amendment.by.id, amendment.payload_digest) == ("bob", resolved.payload_digest)


async def test_models_come_back_as_models() -> None:
    async def quoting(run: Run) -> str:
        clearance = await run.approval("Quote", payload=Quote(euros=5), policy=FINANCE)
        return await run.step(place, clearance.payload, clearance=clearance)

    async with Trial(quoting) as trial:
        trial.grant(await trial.approval(), amended_payload=Quote(euros=4))
        assert await trial.result() == "Quote: euros=4.0"


@pytest.mark.parametrize(
    "payload", [{"boxes": 3}, {"lamps": "three"}, {"lamps": 3, "to": "Bonn", "gift": True}, 3]
)
async def test_a_payload_that_the_types_cannot_hold_is_refused_and_nothing_is_done(
    payload: Any,
) -> None:
    async with Trial(ordering, 5) as trial:
        trial.grant(await trial.approval(), by="bob", amended_payload=payload)
        with pytest.raises(TrialFailed, match="payload that bob amended, which can't be read"):
            await trial.result()
        assert not any(each.type == "ApprovalRedeemed" for each in trial.events)


async def test_plain_json_may_become_any_json() -> None:
    async def asking(run: Run) -> Any:
        clearance: Clearance = await run.approval("Order", payload={"lamps": 5}, policy=FINANCE)
        return await run.step(lambda: clearance.payload, name="place", clearance=clearance)

    async with Trial(asking) as trial:
        trial.grant(await trial.approval(), amended_payload=["nothing"])
        assert await trial.result() == ["nothing"]


async def test_what_the_service_refuses_is_refused() -> None:
    async def strict(run: Run) -> None:
        await run.approval("Order", payload={"lamps": 5}, policy=require(group="finance"))

    async with Trial(strict) as trial:
        approval = await trial.approval()
        with pytest.raises(InvalidInput, match="not amendable"):
            trial.grant(approval, amended_payload={"lamps": 4})
        trial.grant(approval)
        await trial.result()
    async with Trial(ordering, 5) as trial:
        approval = await trial.approval()
        with pytest.raises(InvalidInput, match="changes nothing"):
            trial.grant(approval, amended_payload=Order(5))
        with pytest.raises(InvalidInput, match="amendedPayload"):
            trial.grant(approval, amended_payload="x" * 300_000)
        trial.grant(approval)
        await trial.result()


def test_both_policies_must_allow_it() -> None:
    strict = require(group="legal")
    assert not (FINANCE & strict).amendable
    assert not FINANCE.then(strict).amendable
    assert (FINANCE & strict.allow_amendment()).amendable
