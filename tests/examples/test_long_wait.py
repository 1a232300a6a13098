"""The example of a long wait: with simulated time, and with a short real wait."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from examples import long_wait
from examples.long_wait import contract
from placet import ApprovalStatus, Engine
from placet.testing import Trial
from placet.testing.trial import START
from tests.sdk.engines import started
from tests.sdk.people import People, Server, until

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


async def test_a_rejection_is_final() -> None:
    async with Trial(contract, TERMS) as trial:
        trial.reject(await trial.approval(), comment="not these terms")
        assert "not these terms" in (await trial.result())["because"]


@pytest.fixture
def engines(server: Server) -> tuple[Engine, Engine]:
    """Return two engines with the workflow, of which one can go on with what the other held."""
    queue = f"contracts-{uuid4()}"
    one, other = (
        long_wait.engine(server.url, server.tokens["engine"], queue=queue) for _ in range(2)
    )
    return one, other


async def reminders(people: People, execution_id: str, least: int = 0) -> list[Any]:
    """Wait until so many reminders were sent, and give them."""
    operator = await people.get("operator")

    async def sent() -> list[Any] | None:
        history = await operator.history(execution_id)
        assert history is not None
        results = [step.result for step in history.steps if step.name == "remind"]
        return results if len(results) >= least else None

    return await until(sent)


async def test_the_service_keeps_the_time_while_engines_come_and_go(
    people: People, engines: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_wait, "REMIND_EVERY", timedelta(seconds=0.2))
    one, other = engines
    async with one:
        execution_id = await started(people, one, "contract", TERMS)
        before = len(await reminders(people, execution_id, 2))
    async with other:
        await reminders(people, execution_id, before + 2)
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-c")).grant(approval)
        ended = await people.ended(execution_id)
    assert ended.result == {"signed": True, **TERMS}
    sent = await reminders(people, execution_id)
    assert sent == [long_wait.remind(TERMS, number) for number in range(1, len(sent) + 1)]


async def test_when_the_timer_fires_the_request_is_withdrawn(
    people: People, engines: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_wait, "PATIENCE", timedelta(seconds=0.3))
    async with engines[0] as engine:
        execution_id = await started(people, engine, "contract", TERMS)
        ended = await people.ended(execution_id)
    assert ended.result == {"signed": False, "because": "nobody decided within a month"}
    history = await (await people.get("operator")).history(execution_id)
    assert history is not None
    assert [each.status for each in history.approvals] == [ApprovalStatus.WITHDRAWN]
