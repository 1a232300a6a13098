"""The long wait, with a year's time at hand."""

from datetime import timedelta

from examples.long_wait import contract
from placet.testing import Trial
from placet.testing.trial import START

TERMS = {"with": "a supplier"}


def reminded(trial: Trial) -> list[str]:
    return [
        event.data["result"]
        for event in trial.events
        if event.type == "StepCompleted" and event.data["name"] == "remind"
    ]


async def test_people_are_reminded_every_week_until_one_decides() -> None:
    async with Trial(contract, TERMS) as trial:
        await trial.skip(timedelta(days=15))
        assert reminded(trial) == [
            "reminder 1: the contract with a supplier waits",
            "reminder 2: the contract with a supplier waits",
        ]
        trial.grant(await trial.approval())
        assert await trial.result() == {"signed": True, "with": "a supplier"}
        assert trial.now == START + timedelta(days=15)


async def test_after_a_month_the_request_is_withdrawn() -> None:
    async with Trial(contract, TERMS) as trial:
        assert (await trial.result())["because"] == "nobody decided within a month"
        assert trial.now == START + timedelta(days=30)
        assert len(reminded(trial)) == 4
        assert "ApprovalWithdrawn" in [event.type for event in trial.events]


async def test_a_no_is_final() -> None:
    async with Trial(contract, TERMS) as trial:
        trial.reject(await trial.approval(), comment="not these terms")
        assert "not these terms" in (await trial.result())["because"]
