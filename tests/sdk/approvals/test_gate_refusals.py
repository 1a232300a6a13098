"""What a gate refuses, or is refused by the service."""

from typing import Any
from uuid import uuid4

import pytest

from placet import (
    Approval,
    ApprovalStatus,
    ExecutionState,
    Gate,
    errors,
)
from placet.models.responses import Accepted
from tests.sdk.approvals.gate_desk import FINANCE, TRANSFER, Desk


async def test_an_engine_on_the_queue_of_a_gate_is_named_as_the_fault(desk: Desk) -> None:
    queue = f"gates-{uuid4()}"
    gate = Gate(desk.gate.client, queue=queue)
    await gate.client.start("pay", key=desk.key, queue=queue)
    await gate.client.claim(f"worker-{uuid4()}", queues=[queue])
    with pytest.raises(errors.Fenced, match=f"no Engine may serve the queue '{queue}'"):
        await gate.ask("pay", desk.key, title="Pay", payload=1, policy=FINANCE)


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        ({"title": "x" * 501}, "title has 501 characters"),
        ({"title": " "}, "title must not be empty"),
        ({"payload": "x" * 262_143}, "payload is 262145 bytes of JSON, the limit is 262144"),
        ({"payload": "x" * 1_100_000}, "the limit is 262144"),
        ({"description": "x" * 10_001}, "description has 10001 characters"),
    ],
)
async def test_what_is_too_long_starts_nothing_and_uses_no_key_up(
    desk: Desk, refused: dict[str, Any], reason: str
) -> None:
    client = desk.gate.client
    asks: dict[str, Any] = {"title": "Pay", "payload": TRANSFER, "policy": FINANCE}
    with pytest.raises(errors.InvalidInput, match=reason) as early:
        await desk.gate.ask("pay", desk.key, **asks | refused)
    execution_id = await desk.people.start("pay")
    with pytest.raises((errors.InvalidInput, errors.LimitExceeded)) as told:
        await client.request_approval(execution_id, "approval", **asks | refused)
    if isinstance(told.value, errors.InvalidInput):
        assert str(early.value) == str(told.value)
    assert (await desk.gate.ask("pay", desk.key, **asks)).status is ApprovalStatus.PENDING


async def test_what_is_just_not_too_long_is_asked(desk: Desk) -> None:
    approval = await desk.ask(
        title="x" * 500, description="x" * 10_000, payload="x" * (256 * 1024 - 2)
    )
    assert approval.status is ApprovalStatus.PENDING


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        ({"payload": {"n": 2**60}}, "whole number beyond"),
        ({"title": "x\x00"}, "title holds a NUL character"),
    ],
    ids=["number", "title"],
)
async def test_what_the_service_refuses_leaves_nothing_running(
    desk: Desk, refused: dict[str, Any], reason: str
) -> None:
    gate = Gate(desk.gate.client, queue=f"gates-{uuid4()}")
    asks: dict[str, Any] = {"title": "Pay", "payload": TRANSFER, "policy": FINANCE}
    with pytest.raises((errors.InvalidInput, errors.LimitExceeded), match=reason):
        await gate.ask("pay", desk.key, **asks | refused)
    operator = await desk.people.get("operator")
    started = await gate.client.start("pay", key=desk.key, queue=gate.queue)
    assert started.execution is not None
    execution = await operator.execution(started.execution.id)
    assert execution is not None
    assert execution.state is ExecutionState.FAILED
    assert reason in (execution.error or "")

    with pytest.raises(errors.InvalidTransition, match="have an operator retry it"):
        await gate.ask("pay", desk.key, **asks)
    await operator.retry(execution)
    assert (await gate.ask("pay", desk.key, **asks)).status is ApprovalStatus.PENDING
    # What is asked already is not ended by who asks wrongly.
    with pytest.raises((errors.InvalidInput, errors.LimitExceeded), match=reason):
        await gate.ask("pay", desk.key, **asks | refused)
    assert (await gate.ask("pay", desk.key, **asks)).status is ApprovalStatus.PENDING


async def test_what_is_being_done_is_not_ended_by_who_asks_wrongly(desk: Desk) -> None:
    clearance = await desk.granted()

    async def slow() -> str:
        with pytest.raises(errors.InvalidInput, match="title holds a NUL character"):
            await desk.ask(title="x\x00")
        return "done"

    assert await desk.gate.perform(clearance, slow) == "done"
    assert await desk.state(clearance.approval) is ExecutionState.COMPLETED


async def test_who_asks_wrongly_is_told_also_where_the_execution_is_cancelled_meanwhile(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = desk.gate.client
    fail = client.fail

    async def late(execution_id: str, error: str) -> Accepted:
        await (await desk.people.get("operator")).cancel(execution_id, "not needed")
        return await fail(execution_id, error)

    monkeypatch.setattr(client, "fail", late)
    with pytest.raises(errors.InvalidInput, match="title holds a NUL character"):
        await desk.ask(title="x\x00")


async def test_what_is_asked_wrongly_does_not_end_what_another_asks_in_the_same_moment(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    other: list[Approval] = []
    start = desk.gate.client.start

    async def overtaken(*args: Any, **more: Any) -> Any:
        mine = await start(*args, **more)
        monkeypatch.undo()
        other.append(await desk.ask())
        return mine

    monkeypatch.setattr(desk.gate.client, "start", overtaken)
    with pytest.raises(errors.InvalidInput, match="title holds a NUL character"):
        await desk.ask(title="x\x00")
    assert await desk.state(other[0]) is ExecutionState.WAITING_APPROVAL
