"""What a test allows in advance is granted when it is asked."""

from datetime import timedelta

import pytest

from placet import Policy, Run, require
from placet.testing import Trial

ANYBODY = require(1, group="finance")


async def buy(run: Run, costs: list[int], policy: Policy = ANYBODY) -> list[str]:
    who = []
    for number, cost in enumerate(costs):
        await run.approval("Buy?", payload={"cost": cost}, policy=policy, key=f"buy-{number}")
        who.append(str(cost))
    return who


async def test_it_is_used_for_what_it_covers_as_often_as_it_says() -> None:
    async with Trial(buy, [5, 500, 6, 7]) as trial:
        grant = trial.allow(by="ann", covers=lambda payload: payload["cost"] < 100, max_uses=2)
        dear = await trial.approval()
        assert (dear.key, grant.uses) == ("buy-1", 1)
        trial.grant(dear, by="bob")
        last = await trial.approval()
        assert (last.key, grant.uses) == ("buy-3", 2)
        trial.grant(last)
        assert await trial.result() == ["5", "500", "6", "7"]
    by = [approval.decisions[0].standing_grant_id for approval in trial.approvals]
    assert by == [grant.id, None, grant.id, None]
    assert trial.approvals[0].decisions[0].by.id == "ann"


async def test_it_is_not_used_after_its_end_nor_for_who_started_it() -> None:
    async with Trial(buy, [5]) as trial:
        trial.allow(by="initiator")
        trial.allow(by="ann", key="other")
        trial.allow(by="ann").revoke()
        waiting = await trial.approval()
        trial.allow(by="ann")
        assert [each.key for each in await trial.pending()] == [waiting.key]
        trial.grant(waiting)
        await trial.result()


async def test_it_is_used_for_what_an_amendment_made_of_the_payload() -> None:
    async def buy_amended(run: Run) -> list[str]:
        return await buy(run, [500], ANYBODY.allow_amendment())

    async with Trial(buy_amended) as trial:
        earlier = trial.allow(by="ann", covers=lambda payload: payload["cost"] < 100)
        dear = await trial.approval()
        later = trial.allow(by="cleo")
        trial.grant(dear, by="bob", amended_payload={"cost": 50}, resolves=False)
        await trial.result()
        assert (earlier.uses, later.uses) == (1, 0)
        [bought] = trial.approvals
        assert [decision.by.id for decision in bought.decisions] == ["bob", "ann"]


async def test_it_has_limits() -> None:
    async with Trial(buy, []) as trial:
        for wrong in ({"max_uses": 0}, {"lasts": timedelta(days=91)}):
            with pytest.raises(ValueError, match="max_uses"):
                trial.allow(**wrong)
        assert await trial.result() == []
