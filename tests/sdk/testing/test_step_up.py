"""In memory, too, a policy that asks for a login is met by such a login only."""

from datetime import timedelta

import pytest

from placet import Run, StepUpRequired, require
from placet.testing import Login, Trial

POLICY = require(group="finance").step_up("phr", max_auth_age=timedelta(minutes=5))


async def paying(run: Run) -> str:
    clearance = await run.approval("Pay", payload={"euros": 1}, policy=POLICY)
    return await run.step(lambda: "paid", name="pay", clearance=clearance)


async def test_a_decision_needs_the_login() -> None:
    async with Trial(paying) as trial:
        trial.allow(by="ann")
        approval = await trial.approval()
        assert approval.policy.acr_values == ["phr"]
        for login in (
            None,
            Login(acr=("pwd",)),
            Login(acr=("phr",), age=timedelta(minutes=6)),
        ):
            with pytest.raises(StepUpRequired, match="the policy asks for a login"):
                trial.grant(approval, login=login)
            with pytest.raises(StepUpRequired):
                trial.reject(approval, comment="no", login=login)
            with pytest.raises(StepUpRequired):
                trial.request_changes(approval, comment="less", login=login)
        trial.grant(approval, login=Login(acr=("pwd", "phr")))
        assert await trial.result() == "paid"
