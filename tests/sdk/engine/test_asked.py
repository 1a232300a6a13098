"""``run.ask``: the workflow knows the id of an approval while people decide."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from placet import ApprovalStatus, EventFilter, ExecutionState, Rejected, Run, require
from placet.client import environment
from placet.testing import Trial
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until
from tests.sdk.trials import result

FINANCE = require(1, group="finance")


async def telling(run: Run) -> list[Any]:
    asked = await run.ask("Trip", payload={"to": "Ghent"}, policy=FINANCE)

    async def send(id_: str) -> str:
        return f"sent {id_}"

    sent = await run.options(key=f"send {asked.id}").step(send, asked.id)
    clearance = await asked.clearance()
    return [sent == f"sent {clearance.approval.id}", clearance.payload]


async def test_the_id_of_a_pending_approval_can_be_sent_somewhere() -> None:
    async with Trial(telling) as trial:
        trial.grant(await trial.approval())
        assert await trial.result() == [True, {"to": "Ghent"}]


async def test_the_id_is_known_again_after_the_workflow_was_put_away(
    people: People, engine: Made
) -> None:
    one = engine(put_away=timedelta(seconds=0.05))
    one.workflow(telling)
    async with one:
        execution_id = await started(people, one, "telling")
        [approval] = await people.pending(execution_id)
        await asyncio.sleep(0.5)
        await (await people.get("approver-a")).grant(approval)
        assert (await people.ended(execution_id)).result == [True, {"to": "Ghent"}]


async def test_another_engine_goes_on_from_a_pending_approval(people: People, engine: Made) -> None:
    one, other = engine(), engine()
    for each in (one, other):
        each.workflow(telling)
    async with one:
        execution_id = await started(people, one, "telling")
        [approval] = await people.pending(execution_id)
    await (await people.get("approver-a")).grant(approval)
    async with other:
        assert (await people.ended(execution_id)).result == [True, {"to": "Ghent"}]


async def test_after_a_retry_the_new_approval_is_told(people: People, engine: Made) -> None:
    only, sent = engine(), []

    @only.workflow
    async def told(run: Run) -> str:
        asked = await run.ask("Trip", payload=1, policy=FINANCE)

        async def send(id_: str) -> None:
            sent.append(id_)

        await run.options(key=f"send {asked.id}").step(send, asked.id)
        await asked.clearance()
        return asked.id

    approver = await people.get("approver-a")
    async with only:
        execution_id = await started(people, only, "told")
        [first] = await people.pending(execution_id)
        await until(lambda: _nonempty(sent, 1))
        await approver.reject(first, comment="no")
        failed = await people.ended(execution_id)
        assert failed.state is ExecutionState.FAILED
        await (await people.get("operator")).retry(failed)
        await until(lambda: _nonempty(sent, 2))
        [second] = await people.pending(execution_id)
        await approver.grant(second)
        ended = await people.ended(execution_id, after=failed.version)
    assert sent == [first.id, second.id]
    assert ended.result == second.id


async def _nonempty(values: list[str], count: int) -> bool | None:
    return True if len(values) >= count else None


async def test_an_approval_that_nobody_waits_for_at_the_end_is_withdrawn(
    people: People, engine: Made
) -> None:
    only = engine()

    @only.workflow
    async def leaves(run: Run) -> str:
        return (await run.ask("Trip", payload=1, policy=FINANCE)).id

    async with only:
        execution_id = await started(people, only, "leaves")
        ended = await people.ended(execution_id)
    assert ended.state is ExecutionState.COMPLETED
    history = await (await people.get("operator")).history(execution_id)
    assert history is not None
    assert [a.status for a in history.approvals] == [ApprovalStatus.WITHDRAWN]


async def test_a_request_that_is_refused_is_told_to_who_asks() -> None:
    async def workflow(run: Run) -> str:
        with pytest.raises(Exception, match="title has 501 characters, the limit is 500"):
            await run.ask("x" * 501, payload=1, policy=FINANCE)
        return "told"

    assert await result(workflow) == "told"


async def test_a_rejection_is_raised_where_the_decision_is_awaited() -> None:
    async def workflow(run: Run) -> str:
        asked = await run.ask("Trip", payload=1, policy=FINANCE)
        try:
            await asked.clearance()
        except Rejected as rejected:
            return str(rejected)
        return "granted"

    async with Trial(workflow) as trial:
        trial.reject(await trial.approval(), comment="too far")
        assert "too far" in await trial.result()


async def test_several_are_asked_at_once() -> None:
    async def workflow(run: Run) -> list[Any]:
        first, second = await asyncio.gather(
            *(run.ask(title, payload=title, policy=FINANCE) for title in "ab")
        )
        granted = await asyncio.gather(second.clearance(), first.clearance())
        return [first.id != second.id, *(each.payload for each in granted)]

    async with Trial(workflow) as trial:
        for approval in await trial.pending():
            trial.grant(approval)
        assert await trial.result() == [True, "b", "a"]


async def test_the_keys_of_ask_are_kept_for_it() -> None:
    async def workflow(run: Run) -> str:
        with pytest.raises(ValueError, match=r"reserved for run\.ask"):
            await run.step(str, key="placet:asked:x")
        return "told"

    assert await result(workflow) == "told"


async def test_the_address_at_which_people_decide_is_known_and_stays(
    people: People, engine: Made
) -> None:
    one = engine(public_url="https://approvals.example.com/")
    other = engine(public_url="https://elsewhere.example.com")

    async def telling(run: Run) -> list[str]:
        asked = await run.ask("Trip", payload=1, policy=FINANCE)
        await asked.clearance()
        return [asked.id, asked.address]

    for each in (one, other):
        each.workflow(telling)
    async with one:
        execution_id = await started(people, one, "telling")
        [approval] = await people.pending(execution_id)
        # Known to the workflow, and so recorded.
        await types_include(people, execution_id, "StepCompleted")
    await (await people.get("approver-a")).grant(approval)
    async with other:
        ended = await people.ended(execution_id)
    address = f"https://approvals.example.com/approvals/{approval.id}"
    assert ended.result == [approval.id, address]


async def types_include(people: People, execution_id: str, kind: str) -> None:
    """Wait until an event of this type is recorded."""
    operator = await people.get("operator")

    async def found() -> bool | None:
        events = await operator.events(EventFilter(execution_id=execution_id, types=[kind]))
        return True if list(events) else None

    await until(found)


def test_the_public_address_is_that_of_the_service_if_nothing_else_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = environment.addresses("http://placet.internal:8000/graphql")
    assert environment.public_url(None, service) == "http://placet.internal:8000"
    monkeypatch.setenv("PLACET_PUBLIC_URL", "https://approvals.example.com/")
    assert environment.public_url(None, service) == "https://approvals.example.com"
    assert environment.public_url("https://other.example.com", service) == (
        "https://other.example.com"
    )
