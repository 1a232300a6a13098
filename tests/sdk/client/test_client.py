"""The client against a service."""

import asyncio
import inspect
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from placet import (
    Accepted,
    ApprovalFilter,
    ApprovalStatus,
    Client,
    EventFilter,
    Execution,
    ExecutionFilter,
    Refused,
    digest,
    errors,
    require,
)
from placet.client.decisions import Decisions
from placet.client.leases import Leases
from placet.client.mutations import Mutations
from placet.models.commands import CompleteExecution, RecordStep
from tests.sdk.people import People, until
from tests.support.patience import HANGS

FINANCE = require(1, group="finance")


async def test_a_start_is_repeated_by_its_key(people: People) -> None:
    operator = await people.get("operator")
    key = str(uuid4())
    first = await operator.start("trip", {"to": "Eindhoven"}, key=key)
    again = await operator.start("trip", {"to": "Eindhoven"}, key=key)
    assert (first.repeated, again.repeated) == (False, True)
    with pytest.raises(errors.KeyReused):
        await operator.start("trip", {"to": "Delft"}, key=key)


async def test_the_answer_and_the_log_say_that_too_few_people_are_known(
    people: People, caplog: pytest.LogCaptureFixture
) -> None:
    engine = await people.get("engine")
    # The service knows who could decide once they have used their tokens.
    await (await people.get("approver-a")).viewer()
    execution_id = await people.start("trip")

    async def asked() -> tuple[str, ...] | None:
        policy = require(9, group="finance")
        again = await engine.request_approval(execution_id, "go", "Go", payload=1, policy=policy)
        return again.warnings or None

    [warning] = await until(asked)
    assert warning.startswith("requirement 1 needs 9 of the group finance; the directory knows ")
    assert f"approval 'go' of execution {execution_id}: {warning}" in caplog.messages
    few = await engine.request_approval(execution_id, "few", "Few", payload=1, policy=FINANCE)
    assert few.warnings == ()


async def test_an_approval_is_granted_as_it_was_shown(people: People) -> None:
    operator, engine = await people.get("operator"), await people.get("engine")
    approver, other = await people.get("approver-a"), await people.get("approver-b")
    execution_id = await people.start("trip")
    asked = await engine.request_approval(
        execution_id, "go", "Trip", payload={"cost": 12.5}, policy=FINANCE
    )
    assert asked.approval is not None
    shown = await approver.approval(asked.approval.id)
    assert shown is not None
    assert shown.digest == digest(shown.document)
    assert shown.payload_digest == digest({"cost": 12.5})
    assert shown.viewer_may_decide.allowed

    granted = await approver.grant(shown, comment="fine")
    assert granted.approval is not None
    assert granted.approval.status is ApprovalStatus.GRANTED
    with pytest.raises(errors.AlreadyDecided) as late:
        await other.reject(shown, comment="too dear")
    assert late.value.approval is not None
    assert [each.by.id for each in late.value.approval.decisions] == ["approver-a"]
    before = await operator.execution_at(execution_id, version=2)
    assert before is not None
    assert [each.status for each in before.approvals] == [ApprovalStatus.PENDING]


async def test_what_was_not_shown_is_not_granted(people: People) -> None:
    engine, approver = await people.get("engine"), await people.get("approver-a")
    execution_id = await people.start("trip")
    for key, cost in (("one", 1), ("other", 1_000_000)):
        await engine.request_approval(execution_id, key, "T", payload=cost, policy=FINANCE)
    one, other = await people.pending(execution_id, 2)
    one.document["payload"] = other.payload
    with pytest.raises(errors.DigestMismatch):
        await approver.grant(one)


async def test_many_are_decided_each_for_itself(people: People) -> None:
    engine, approver = await people.get("engine"), await people.get("approver-a")
    execution_id = await people.start("trip")
    for key, group in (("a", "finance"), ("b", "legal"), ("c", "finance")):
        await engine.request_approval(
            execution_id, key, "T", payload={}, policy=require(group=group)
        )
    answers = await approver.grant_many(await people.pending(execution_id, 3))
    assert [type(answer) for answer in answers] == [Accepted, errors.NotFound, Accepted]


async def test_submit_skips_after_a_refusal(people: People) -> None:
    engine = await people.get("engine")
    execution_id = await people.start("trip")
    answers = await engine.submit(
        [
            RecordStep(execution_id=execution_id, key="a", name="a", result=1),
            RecordStep(execution_id=execution_id, key="a", name="b", result=1),
            CompleteExecution(execution_id=execution_id),
        ]
    )
    assert isinstance(answers[0], Accepted)
    codes = [answer.code for answer in answers[1:] if isinstance(answer, Refused)]
    assert codes == ["KEY_REUSED", "SKIPPED"]


async def test_pages_follow_one_another(people: People) -> None:
    operator = await people.get("operator")
    workflow = f"paged-{uuid4()}"
    started = [await operator.start(workflow, number) for number in range(5)]
    where = ExecutionFilter(workflow=[workflow])
    inputs: list[object] = []
    after = None
    while True:
        page = await operator.executions(
            where, first=2, after=after, at_least=started[-1].position, count=True
        )
        assert page.total_count == 5
        inputs.extend(each.input for each in page)
        after = page.next
        if after is None:
            break
    assert inputs == [4, 3, 2, 1, 0]


async def test_a_history_is_whole(people: People) -> None:
    operator, engine = await people.get("operator"), await people.get("engine")
    execution_id = await people.start("long")
    keys = [f"s{number}" for number in range(700)]
    for start in range(0, len(keys), 100):
        await engine.submit(
            [
                RecordStep(execution_id=execution_id, key=key, name="s")
                for key in keys[start : start + 100]
            ]
        )
    await engine.request_approval(execution_id, "go", "T", payload={}, policy=FINANCE)
    history = await operator.history(execution_id)
    assert history is not None
    assert [step.key for step in history.steps] == keys
    assert [approval.key for approval in history.approvals] == ["go"]


async def test_an_approval_that_leaves_the_filter_is_removed(people: People) -> None:
    engine, approver = await people.get("engine"), await people.get("approver-a")
    execution_id = await people.start("trip")
    where = ApprovalFilter(execution_id=execution_id, status=[ApprovalStatus.PENDING])
    page = await approver.approvals(where)
    stream = approver.approvals_stream(where, after=page.position)
    async with aclosing(stream), asyncio.timeout(HANGS):
        await engine.request_approval(execution_id, "go", "T", payload={}, policy=FINANCE)
        shown = None
        while shown is None:
            shown = (await anext(stream)).approval
        await approver.grant(shown)
        removed = None
        while removed is None:
            removed = (await anext(stream)).removed_id
    assert removed == shown.id


async def test_events_go_on_from_a_cursor(people: People) -> None:
    auditor, engine = await people.get("auditor"), await people.get("engine")
    execution_id = await people.start("trip")
    where = EventFilter(execution_id=execution_id)
    page = await auditor.events(where)
    assert [each.type for each in page] == ["Started"]
    await engine.record_step(execution_id, "a", result=1)
    await engine.complete(execution_id)
    types: list[str] = []
    stream = auditor.events_stream(where, after=page.edges[-1].cursor)
    async with aclosing(stream), asyncio.timeout(HANGS):
        while len(types) < 2:
            message = await anext(stream)
            if message.event is not None:
                types.append(message.event.type)
    assert types == ["StepCompleted", "Completed"]


async def test_a_claim_is_held_and_released(people: People) -> None:
    engine = await people.get("engine")
    worker = f"worker-{uuid4()}"
    execution_id = await people.start("trip")

    async def claimed() -> int | None:
        claims = await engine.claim(worker, limit=100)
        return next((each.fence for each in claims if each.execution.id == execution_id), None)

    assert await until(claimed) == 1
    assert (await engine.heartbeat(worker)).executions >= 1
    with pytest.raises(errors.Fenced):
        await engine.complete(execution_id)
    await engine.complete(execution_id, fence=1)
    await engine.release(worker)
    assert (await engine.heartbeat(worker)).executions == 0


async def test_a_release_leaves_a_later_claim_of_the_same_worker_alone(people: People) -> None:
    engine, operator = await people.get("engine"), await people.get("operator")
    worker, queue = f"worker-{uuid4()}", f"queue-{uuid4()}"
    execution = (await operator.start("trip", queue=queue)).execution
    assert execution is not None
    first, seen = {execution.id: 1}, {execution.id: None}
    await engine.claim(worker, queues=[queue])
    assert await engine.release(worker, seen=seen, fences=first) == 1
    [claim] = await engine.claim(worker, queues=[queue])
    assert await engine.release(worker, seen=seen, fences=first) == 0
    assert await engine.release(worker, fences=first) == 0
    assert await engine.release(worker, fences={}) == 0
    assert await engine.release(worker, fences={execution.id: claim.fence}) == 1


async def test_timers_signals_and_children_are_events_of_the_execution(people: People) -> None:
    engine, operator = await people.get("engine"), await people.get("operator")
    execution_id = await people.start("trip")
    await engine.set_timer(execution_id, "due", delay=timedelta(milliseconds=1))
    await engine.set_timer(execution_id, "later", until=datetime(2100, 1, 1, tzinfo=UTC))
    await engine.cancel_timer(execution_id, "later")
    await operator.signal(execution_id, "ticket", {"gate": 7}, key="a")
    await engine.start_child(execution_id, "hotel", "lodging", {"nights": 2})

    async def born() -> Execution | None:
        page = await operator.executions(ExecutionFilter(workflow=["lodging"]))
        return next((e for e in page if e.parent and e.parent.execution_id == execution_id), None)

    child = await until(born)
    await engine.complete(child.id, 5)
    wanted = {"TimerFired", "TimerCancelled", "SignalReceived", "ChildEnded"}
    seen = {}
    async with aclosing(operator.execution_events(execution_id, after_version=0)) as events:
        async for event in events:
            seen[event.type] = event.data
            if wanted <= seen.keys():
                break
    assert seen["SignalReceived"] == {"key": "a", "name": "ticket", "payload": {"gate": 7}}
    assert (seen["ChildEnded"]["outcome"], seen["ChildEnded"]["result"]) == ("COMPLETED", 5)
    assert seen["TimerSet"]["until"] == "2100-01-01T00:00:00.000000Z"


def test_methods_are_those_of_the_parts_with_signature_and_docstring() -> None:
    assert inspect.iscoroutinefunction(Client.cancel)
    assert inspect.signature(Client.cancel) == inspect.signature(Mutations.cancel)
    assert Client.cancel.__doc__ == Mutations.cancel.__doc__
    assert inspect.signature(Client.retract) == inspect.signature(Decisions.retract)
    assert inspect.signature(Client.assignments) == inspect.signature(Leases.assignments)
