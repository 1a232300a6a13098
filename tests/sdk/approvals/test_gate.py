"""Approvals for code that is no workflow, against a service with people who decide."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

import placet.sync
from placet import (
    ApprovalStatus,
    ChangesRequested,
    Doubt,
    ExecutionState,
    Gate,
    Lapsed,
    Rejected,
    Revoked,
    StepFailed,
    Withdrawn,
    errors,
    require,
)
from tests.sdk.approvals.gate_desk import FINANCE, TRANSFER, Desk
from tests.support.patience import HANGS


class Counted:
    """A function that counts how often it was run."""

    def __init__(self, does: Callable[[Any], Any] = lambda given: given) -> None:
        self.runs = 0
        self._does = does
        self.__name__ = "counted"

    def __call__(self, given: Any = None) -> Any:
        self.runs += 1
        return self._does(given)


async def test_what_was_granted_is_done_once_and_its_result_is_kept(desk: Desk) -> None:
    clearance = await desk.granted()
    pay = Counted(lambda given: {"paid": given["euros"]})
    assert await desk.gate.perform(clearance, pay, clearance.payload) == {"paid": 120}
    assert await desk.gate.perform(clearance, pay, clearance.payload) == {"paid": 120}
    assert pay.runs == 1
    operator = await desk.people.get("operator")
    history = await operator.history(clearance.approval.execution_id)
    assert history is not None
    assert history.execution.state is ExecutionState.COMPLETED
    assert history.execution.result == {"paid": 120}
    assert [(step.name, step.result) for step in history.steps] == [("counted", {"paid": 120})]


async def test_who_waits_is_told_of_the_decision(desk: Desk) -> None:
    approval = await desk.ask()
    waiting = asyncio.create_task(desk.gate.clearance(approval))
    await (await desk.people.get("approver-a")).grant(approval, comment="fine")
    async with asyncio.timeout(HANGS):
        clearance = await waiting
    assert clearance.payload == TRANSFER
    assert [each.comment for each in clearance.decisions] == ["fine"]


async def test_it_waits_until_the_last_person_has_agreed(desk: Desk) -> None:
    approval = await desk.ask(policy=FINANCE & require(1, group="legal"))
    waiting = asyncio.create_task(desk.gate.clearance(approval))
    await (await desk.people.get("approver-a")).grant(approval)
    assert not waiting.done()
    await (await desk.people.get("approver-c")).grant(approval)
    async with asyncio.timeout(HANGS):
        assert len((await waiting).decisions) == 2


async def test_the_same_question_finds_the_same_approval(desk: Desk) -> None:
    first = await desk.ask()
    assert (await desk.ask()).id == first.id
    await (await desk.people.get("approver-a")).grant(first)
    again = await desk.ask()
    assert (again.id, again.status) == (first.id, ApprovalStatus.GRANTED)


@pytest.mark.parametrize(
    "other",
    [
        {"payload": TRANSFER | {"euros": 121}},
        {"title": "Pay more"},
        {"policy": require(1, group="legal")},
        {"labels": {"team": "travel"}},
        {"on_behalf_of": "ada"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_another_question_under_the_same_key_is_refused(
    desk: Desk, other: dict[str, Any]
) -> None:
    await desk.ask()
    with pytest.raises(errors.KeyReused):
        await desk.ask(**other)


async def test_a_payload_that_nobody_could_see_starts_nothing(desk: Desk) -> None:
    with pytest.raises(ValueError, match="must see"):
        await desk.ask(None)
    with pytest.raises(ValueError, match="payload is not JSON"):
        await desk.ask(float("nan"))
    assert (await desk.ask("good")).round == 1


async def test_a_rejection_raises_and_ends_the_execution(desk: Desk) -> None:
    approval = await desk.ask()
    waiting = asyncio.create_task(desk.gate.clearance(approval))
    await (await desk.people.get("approver-b")).reject(approval, comment="too dear")
    with pytest.raises(Rejected, match="too dear"):
        await waiting
    assert await desk.state(approval) is ExecutionState.FAILED
    with pytest.raises(Rejected):
        await desk.gate.clearance(await desk.ask())


async def test_after_requested_changes_the_same_key_asks_for_something_else(desk: Desk) -> None:
    approver = await desk.people.get("approver-a")
    first = await desk.ask({"euros": 120})
    await approver.request_changes(first, comment="cheaper")
    with pytest.raises(ChangesRequested, match="were requested: cheaper"):
        await desk.gate.clearance(first)
    assert await desk.state(first) is ExecutionState.RESUMED

    second = await desk.ask({"euros": 100})
    assert (second.round, second.execution_id) == (2, first.execution_id)
    await approver.grant(second)
    assert (await desk.gate.clearance(second)).payload == {"euros": 100}


async def test_who_will_not_ask_again_ends_the_execution_at_requested_changes(desk: Desk) -> None:
    approval = await desk.ask()
    await (await desk.people.get("approver-a")).request_changes(approval, comment="cheaper")
    with pytest.raises(ChangesRequested):
        await desk.gate.clearance(approval, revisable=False)
    assert await desk.state(approval) is ExecutionState.FAILED


async def test_a_grant_that_was_revoked_or_has_lapsed_is_not_used(desk: Desk) -> None:
    clearance = await desk.granted()
    approver = await desk.people.get("approver-a")
    await approver.revoke(clearance.approval, reason="the trip is off")
    with pytest.raises(Revoked):
        await desk.gate.redeem(clearance)

    policy = require(group="finance").lapses(timedelta(seconds=0.001))
    asked = await desk.gate.ask("pay", str(uuid4()), title="Pay", payload={}, policy=policy)
    await approver.grant(asked)
    clearance = await desk.gate.clearance(asked)
    with pytest.raises(Lapsed):
        await desk.gate.redeem(clearance)


async def test_a_withdrawal_tells_who_waits_and_ends_the_execution(desk: Desk) -> None:
    approval = await desk.ask()
    waiting = asyncio.create_task(desk.gate.clearance(approval))
    await desk.gate.withdraw(approval, "no longer needed")
    with pytest.raises(Withdrawn):
        await waiting
    assert await desk.state(approval) is ExecutionState.FAILED
    await desk.gate.withdraw(approval, "no longer needed")


async def test_what_is_granted_can_not_be_withdrawn(desk: Desk) -> None:
    clearance = await desk.granted()
    with pytest.raises(errors.AlreadyDecided):
        await desk.gate.withdraw(clearance.approval, "too late")
    assert await desk.gate.perform(clearance, lambda: "done") == "done"


async def test_a_cancelled_execution_raises_withdrawn(desk: Desk) -> None:
    approval = await desk.ask()
    waiting = asyncio.create_task(desk.gate.clearance(approval))
    await (await desk.people.get("operator")).cancel(approval.execution_id, "stop")
    with pytest.raises(Withdrawn):
        await waiting
    assert await desk.state(approval) is ExecutionState.CANCELLED


async def test_one_changed_byte_is_not_done(desk: Desk) -> None:
    clearance = await desk.granted()
    pay = Counted()
    changed = replace(clearance, payload=TRANSFER | {"euros": 1200})
    with pytest.raises(errors.DigestMismatch):
        await desk.gate.perform(changed, pay)
    assert pay.runs == 0
    await desk.gate.perform(clearance, pay)
    with pytest.raises(errors.DigestMismatch):
        await desk.gate.perform(changed, pay)
    assert pay.runs == 1


async def test_what_is_being_done_is_not_begun_again(desk: Desk) -> None:
    clearance = await desk.granted()
    begun, leave = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        begun.set()
        await leave.wait()
        return "done"

    other = Counted()
    first = asyncio.create_task(desk.gate.perform(clearance, slow))
    await begun.wait()
    with pytest.raises(Doubt, match="not begun again"):
        await desk.gate.perform(clearance, other)
    leave.set()
    assert await first == "done"
    assert await desk.gate.perform(clearance, other) == "done"
    assert other.runs == 0


async def test_of_many_who_try_at_once_one_does_it(desk: Desk) -> None:
    clearance = await desk.granted()
    pay = Counted()
    results = await asyncio.gather(
        *(desk.gate.perform(clearance, pay, "paid") for _ in range(8)), return_exceptions=True
    )
    assert pay.runs == 1
    assert "paid" in results
    assert all(result == "paid" or isinstance(result, Doubt) for result in results)


async def test_a_failure_is_raised_as_it_is_and_later_as_it_was_recorded(desk: Desk) -> None:
    clearance = await desk.granted()

    def refuse(_given: object) -> None:
        raise OSError("the bank is closed")

    pay = Counted(refuse)
    with pytest.raises(OSError, match="the bank is closed"):
        await desk.gate.perform(clearance, pay)
    assert await desk.state(clearance.approval) is ExecutionState.FAILED
    with pytest.raises(StepFailed, match="OSError: the bank is closed"):
        await desk.gate.perform(clearance, pay)
    assert pay.runs == 1


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (object(), "the result of counted is not JSON"),
        ("\uffff", r"U\+FFFF, which is no Unicode character"),
        ("x" * 300_000, "the limit is 262144"),
        ("x" * 1_100_000, "more than 1048576"),
    ],
    ids=["no JSON", "no character", "too large", "far too large"],
)
async def test_a_result_that_can_not_be_recorded_fails_what_was_done(
    desk: Desk, result: object, error: str
) -> None:
    clearance = await desk.granted()
    pay = Counted(lambda _given: result)
    with pytest.raises((ValueError, errors.InvalidInput, errors.LimitExceeded), match=error):
        await desk.gate.perform(clearance, pay)
    with pytest.raises(StepFailed, match=error) as failed:
        await desk.gate.perform(clearance, pay)
    assert "counted was done, and its result can't be recorded: " in failed.value.error
    assert pay.runs == 1
    assert await desk.state(clearance.approval) is ExecutionState.FAILED


class Panic(BaseException):
    """What a library in another language raises."""


@pytest.mark.parametrize("kind", [Panic, SystemExit, GeneratorExit])
async def test_whatever_is_raised_is_recorded(desk: Desk, kind: type[BaseException]) -> None:
    clearance = await desk.granted()

    async def pay() -> None:
        raise kind("boom")

    with pytest.raises(kind, match="boom"):
        await desk.gate.perform(clearance, pay)
    with pytest.raises(StepFailed, match=f"{kind.__name__}: boom"):
        await desk.gate.perform(clearance, pay)


@pytest.mark.parametrize("text", ["\uffff", "\ufdd0", "\ud800", "\x00", "x" * 20_000], ids=ascii)
async def test_an_error_with_any_text_is_recorded(desk: Desk, text: str) -> None:
    clearance = await desk.granted()

    async def pay() -> None:
        raise OSError(text)

    with pytest.raises(OSError):  # noqa: PT011 - the text is the case
        await desk.gate.perform(clearance, pay)
    with pytest.raises(StepFailed, match="OSError: "):
        await desk.gate.perform(clearance, pay)


async def test_a_result_recorded_by_a_process_that_then_ended_is_found(desk: Desk) -> None:
    clearance = await desk.granted()
    client, execution_id = desk.gate.client, clearance.approval.execution_id
    await client.redeem(clearance.approval.id, clearance.payload, "perform-before")
    await client.record_step(execution_id, "perform", name="pay", result={"paid": 120})
    pay = Counted()
    assert await desk.gate.perform(clearance, pay) == {"paid": 120}
    assert pay.runs == 0
    assert await desk.state(clearance.approval) is ExecutionState.COMPLETED


async def test_a_retried_execution_is_asked_anew_after_a_rejection(desk: Desk) -> None:
    first = await desk.ask()
    approver, operator = await desk.people.get("approver-a"), await desk.people.get("operator")
    await approver.reject(first, comment="not today")
    with pytest.raises(Rejected):
        await desk.gate.clearance(first)
    execution = await operator.execution(first.execution_id)
    assert execution is not None
    await operator.retry(execution)
    second = await desk.ask()
    assert (second.round, second.status) == (2, ApprovalStatus.PENDING)
    # Whoever still holds the first one does not end what has gone on since.
    with pytest.raises(Rejected):
        await desk.gate.clearance(first)
    await approver.grant(second)
    with pytest.raises(Rejected):
        await desk.gate.clearance(first)
    clearance = await desk.gate.clearance(second)
    assert await desk.gate.perform(clearance, lambda: "done") == "done"


def test_a_gate_of_a_client_that_blocks_is_refused_in_words() -> None:
    client: Any = placet.sync.Client("http://127.0.0.1:9", "no-token")
    with pytest.raises(TypeError, match=r"takes a placet.Client and not a placet.sync.Client"):
        Gate(client)
    client.close()


async def test_a_gate_of_another_event_loop_is_refused_in_words(desk: Desk) -> None:
    approval = await desk.ask()

    async def elsewhere() -> None:
        for call in (desk.ask, lambda: desk.gate.clearance(approval)):
            with pytest.raises(RuntimeError, match=r"belongs to another event loop.*apart\(\)"):
                await call()
        apart = desk.gate.apart()
        async with apart.client:
            again = await apart.ask("pay", desk.key, title="Pay", payload=TRANSFER, policy=FINANCE)
            assert again.id == approval.id

    await asyncio.to_thread(asyncio.run, elsewhere())
