"""What people do with an approval beside deciding, in memory."""

from datetime import timedelta

import pytest

from placet import Run, require
from placet.errors import (
    AlreadyDecided,
    AlreadyRedeemed,
    InvalidInput,
    InvalidTransition,
    NotEligible,
)
from placet.testing import Trial

FINANCE = require(2, group="finance")


async def paying(run: Run) -> str:
    clearance = await run.approval("Pay", payload={"euros": 1}, policy=FINANCE)
    return await run.step(lambda: "paid", name="pay", clearance=clearance)


async def test_a_decision_is_taken_back_while_others_have_to_decide() -> None:
    async with Trial(paying) as trial:
        approval = await trial.approval()
        with pytest.raises(InvalidTransition, match="ada has not decided"):
            trial.retract(approval, by="ada")
        trial.grant(approval, by="ada", resolves=False)
        with pytest.raises(AlreadyDecided):
            trial.grant(approval, by="ada")
        trial.retract(approval, by="ada")
        trial.grant(approval, by="ada", resolves=False)
        trial.grant(approval, by="bob")
        with pytest.raises(AlreadyDecided):
            trial.retract(approval, by="ada")
        assert await trial.result() == "paid"
        [resolved] = trial.approvals
        assert [each.counts for each in resolved.decisions] == [False, True, True]
        with pytest.raises(AlreadyRedeemed):
            trial.revoke(resolved, reason="too late")


async def test_a_decision_is_handed_over_and_taken_back() -> None:
    async with Trial(paying) as trial:
        approval = await trial.approval()
        with pytest.raises(InvalidTransition, match="has not handed the decision"):
            trial.take_back_delegation(approval, by="ada")
        for to in ("ada", "initiator"):
            with pytest.raises(InvalidInput, match=f"to names {to}|name somebody else"):
                trial.delegate(approval, to=to, by="ada")
        trial.delegate(approval, to="zoe", by="ada")
        with pytest.raises(InvalidInput, match="from whom the decision came"):
            trial.delegate(approval, to="ada", by="zoe")
        with pytest.raises(NotEligible, match="ada handed the decision to zoe"):
            trial.grant(approval, by="ada", resolves=False)
        trial.take_back_delegation(approval, by="ada")
        trial.grant(approval, by="ada", resolves=False)
        trial.delegate(approval, to="zoe", by="bob")
        trial.grant(approval, by="zoe")
        assert await trial.result() == "paid"
        last = trial.approvals[0].decisions[-1]
        assert last.on_behalf_of is not None
        assert (last.by.id, last.on_behalf_of.id) == ("zoe", "bob")


async def test_a_decision_is_passed_on_in_no_circle_and_three_times_at_most() -> None:
    async with Trial(paying) as trial:
        approval = await trial.approval()
        trial.delegate(approval, to="bob", by="ada")
        trial.delegate(approval, to="cleo", by="bob")
        for to in ("ada", "bob"):
            with pytest.raises(InvalidInput, match="from whom the decision came"):
                trial.delegate(approval, to=to, by="cleo")
        trial.delegate(approval, to="dora", by="cleo")
        with pytest.raises(InvalidInput, match="from whom the decision came"):
            trial.delegate(approval, to="ada", by="dora")
        with pytest.raises(InvalidInput, match="passed on 3 times"):
            trial.delegate(approval, to="eve", by="dora")
        trial.take_back_delegation(approval, by="bob")
        trial.grant(approval, by="dora", resolves=False)
        with pytest.raises(InvalidInput, match="to names dora, who has already decided"):
            trial.delegate(approval, to="dora", by="bob")
        trial.delegate(approval, to="cleo", by="bob")
        trial.grant(approval, by="cleo")
        assert await trial.result() == "paid"
        places = [each.on_behalf_of for each in trial.approvals[0].decisions]
        assert [each and each.id for each in places] == [None, "ada"]


async def test_comments_and_claims_wake_nobody() -> None:
    async with Trial(paying) as trial:
        approval = await trial.approval()
        trial.comment(approval, "by train?", by="ada")
        trial.claim(approval, by="ada")
        trial.claim(approval, by="bob")
        assert (trial.claimed_by(approval), await trial.approval()) == ("bob", approval)
        await trial.skip(timedelta(hours=1))
        assert trial.claimed_by(approval) is None
        trial.claim(approval, by="ada")
        trial.unclaim(approval, by="ada")
        assert trial.claimed_by(approval) is None
        assert [(each.by.id, each.text) for each in trial.comments(approval)] == [
            ("ada", "by train?")
        ]
        trial.grant(approval)
        assert await trial.result() == "paid"
