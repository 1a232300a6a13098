"""A workflow asks for something else under the same key, and its replay takes the same way."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from placet import (
    ChangesRequested,
    Clearance,
    Engine,
    ExecutionState,
    Expired,
    Lapsed,
    Nondeterministic,
    Rejected,
    Revoked,
    Run,
    require,
)
from placet.models.worker_responses import Past, Transcript
from placet.testing import Trial, TrialFailed, replay
from tests.sdk.engines import Made, started
from tests.sdk.people import People

FINANCE = require(1, group="finance")
HOUR = timedelta(hours=1)


def cheaper(offer: dict[str, int], changes: ChangesRequested) -> dict[str, int]:
    del changes
    return {"euros": offer["euros"] - 10}


def pay(offer: dict[str, int]) -> str:
    return f"paid {offer['euros']}"


async def revising(run: Run) -> str:
    clearance = await run.approval(
        "Pay", payload={"euros": 120}, policy=FINANCE, key="pay", revise=cheaper
    )
    return await run.step(pay, clearance.payload, clearance=clearance)


async def test_changes_that_are_requested_are_raised_with_what_each_person_wants() -> None:
    async def asking(run: Run) -> list[str]:
        try:
            await run.approval("Pay", payload={"euros": 120}, policy=FINANCE)
        except ChangesRequested as changes:
            return [str(changes), *changes.comments]
        return []

    async with Trial(asking) as trial:
        trial.request_changes(await trial.approval(), comment="by train, please")
        assert await trial.result() == [
            "changes of approval 'approval-1' were requested: by train, please",
            "by train, please",
        ]


async def test_a_revised_payload_is_asked_for_until_it_is_granted() -> None:
    async with Trial(revising) as trial:
        for euros in (120, 110):
            approval = await trial.approval("pay")
            assert approval.payload == {"euros": euros}
            trial.request_changes(approval, comment="cheaper")
        approval = await trial.approval("pay")
        assert (approval.round, approval.payload) == (3, {"euros": 100})
        trial.grant(approval)
        assert await trial.result() == "paid 100"


async def test_a_revised_payload_can_be_rejected() -> None:
    async def asking(run: Run) -> str:
        try:
            return await revising(run)
        except Rejected as rejected:
            return str(rejected)

    async with Trial(asking) as trial:
        trial.request_changes(await trial.approval(), comment="cheaper")
        trial.reject(await trial.approval(), comment="not at all")
        assert await trial.result() == "approval 'pay' was rejected: not at all"


async def test_revising_may_take_steps() -> None:
    async def asking(run: Run) -> str:
        async def offer(given: dict[str, int], changes: ChangesRequested) -> dict[str, int]:
            return await run.step(cheaper, given, changes.comments, name="offer")

        clearance = await run.approval("Pay", payload={"euros": 1}, policy=FINANCE, revise=offer)
        return str(clearance.payload)

    async with Trial(asking) as trial:
        trial.request_changes(await trial.approval(), comment="cheaper")
        trial.grant(await trial.approval())
        assert await trial.result() == "{'euros': -9}"


async def test_the_same_payload_is_no_next_round() -> None:
    async def asking(run: Run) -> str:
        try:
            await run.approval(
                "Pay", payload={"euros": 1}, policy=FINANCE, revise=lambda offer, _: offer
            )
        except ValueError as error:
            return str(error)
        return ""

    async with Trial(asking) as trial:
        trial.request_changes(await trial.approval(), comment="cheaper")
        assert "the next round needs another payload" in await trial.result()


async def test_after_requested_changes_the_workflow_may_ask_again_under_the_key() -> None:
    async def asking(run: Run) -> str:
        with pytest.raises(ChangesRequested):
            await run.approval("Pay", payload={"euros": 2}, policy=FINANCE, key="pay")
        clearance = await run.approval("Pay", payload={"euros": 1}, policy=FINANCE, key="pay")
        return str(clearance.approval.round)

    async with Trial(asking) as trial:
        trial.request_changes(await trial.approval(), comment="cheaper")
        trial.grant(await trial.approval())
        assert await trial.result() == "2"


@pytest.mark.parametrize("end", ["granted", "rejected"])
async def test_after_any_other_end_a_key_is_used_up(end: str) -> None:
    async def asking(run: Run) -> str:
        for euros in (2, 1):
            try:
                await run.approval("Pay", payload={"euros": euros}, policy=FINANCE, key="pay")
            except Rejected:
                pass
            except ValueError as error:
                return str(error)
        return ""

    async with Trial(asking) as trial:
        approval = await trial.approval()
        if end == "granted":
            trial.grant(approval)
        else:
            trial.reject(approval, comment="no")
        assert "used twice in one run" in await trial.result()


async def using(run: Run) -> str:
    """Pay after a signal, and ask again if the grant can't be used any more."""
    policy = FINANCE.lapses(HOUR)
    said = []
    for euros in (120, 110):
        clearance = await run.approval("Pay", payload={"euros": euros}, policy=policy, key="pay")
        await run.signal("go")
        try:
            said.append(await run.step(pay, clearance.payload, clearance=clearance))
        except (Lapsed, Revoked) as error:
            said.append(type(error).__name__)
    return " ".join(said)


@pytest.mark.parametrize("end", ["Lapsed", "Revoked"])
async def test_a_grant_that_can_not_be_used_any_more_is_raised_and_can_be_asked_again(
    end: str,
) -> None:
    async with Trial(using) as trial:
        trial.grant(await trial.approval())
        await trial.pending()
        if end == "Lapsed":
            await trial.skip(2 * HOUR)
        else:
            trial.revoke(trial.approvals[0], reason="the trip is off")
        trial.signal("go")
        trial.grant(await trial.approval())
        trial.signal("go")
        assert await trial.result() == f"{end} paid 110"


async def test_an_approval_expires_by_its_time_or_deadline() -> None:
    async def asking(run: Run) -> list[str]:
        said = []
        for terms in ({"within": HOUR}, {"deadline": run.info.started_at + 5 * HOUR}):
            try:
                await run.approval("Pay", payload={"euros": 1}, policy=FINANCE, **terms)
            except Expired as expired:
                said.append(str(expired))
        return said

    async with Trial(asking) as trial:
        assert await trial.result() == [
            "approval 'approval-1' was expired",
            "approval 'approval-2' was expired",
        ]
        assert trial.now - trial.started_at == 5 * HOUR


async def test_a_deadline_may_grant_or_escalate() -> None:
    async def asking(run: Run) -> list[str | None]:
        granting = FINANCE.expires(HOUR, on_expiry="GRANT")
        granted = await run.approval("Pay", payload={"euros": 1}, policy=granting)
        escalating = FINANCE.expires(HOUR, on_expiry="ESCALATE", escalate_to=["board"])
        with pytest.raises(Expired):
            await run.approval("Pay", payload={"euros": 1}, policy=escalating)
        return [granted.approval.resolution]

    async with Trial(asking) as trial:
        assert await trial.result() == ["EXPIRY"]
        assert trial.now - trial.started_at == 3 * HOUR


async def test_a_deadline_counts_in_the_calendars_of_the_trial() -> None:
    async def asking(run: Run, calendar: str) -> None:
        policy = require(group="finance", calendar=calendar)
        escalating = policy.expires(HOUR, on_expiry="ESCALATE", escalate_to=["board"])
        await run.approval("Pay", payload={"euros": 1}, policy=escalating)

    office = {"office": lambda begin, span: begin + 3 * span}
    async with Trial(asking, "office", calendars=office) as trial:
        assert (await trial.approval()).policy.calendar == "office"
        with pytest.raises(TrialFailed, match="was expired"):
            await trial.result()
        assert trial.now - trial.started_at == 6 * HOUR
    async with Trial(asking, "factory", calendars=office) as trial:
        with pytest.raises(TrialFailed, match="names 'factory'; the trial has: office"):
            await trial.result()


@pytest.mark.parametrize("changed", ["policy", "deadline", "payload"])
async def test_a_replay_that_asks_for_something_else_is_a_difference(changed: str) -> None:
    def asking(differently: str | None) -> Callable[[Run], Coroutine[Any, Any, Clearance]]:
        async def workflow(run: Run) -> Clearance:
            policy = FINANCE.lapses(2 * HOUR if differently == "policy" else HOUR)
            hours = 2 if differently == "deadline" else 3
            return await run.approval(
                "Pay",
                payload={"euros": 2 if differently == "payload" else 1},
                policy=policy,
                deadline=run.info.started_at + hours * HOUR,
            )

        return workflow

    async with Trial(asking(None)) as trial:
        await trial.approval()
        transcript = trial.transcript()
    replay(transcript, asking(None))
    with pytest.raises(Nondeterministic, match=f"another {changed}"):
        replay(transcript, asking(changed))


ENDS = st.sampled_from(["granted", "rejected", "expired", "revoked", "lapsed"])


@settings(max_examples=25, deadline=None)
@given(rounds=st.integers(0, 4), end=ENDS, others=st.integers(0, 2), cut=st.integers(0, 100))
async def test_any_rounds_replay_from_any_event_on(
    rounds: int, end: str, others: int, cut: int
) -> None:
    """The trial replays the whole record; here every beginning of it is replayed too."""

    async def asking(run: Run) -> str:
        other = asyncio.gather(*(run.signal("other") for _ in range(others)))
        try:
            clearance = await run.approval(
                "Pay",
                payload={"euros": 120},
                policy=FINANCE.lapses(HOUR),
                within=HOUR,
                revise=cheaper,
            )
            await run.signal("go")
            said = await run.step(pay, clearance.payload, clearance=clearance)
        except (Rejected, Expired, Lapsed, Revoked) as error:
            said = type(error).__name__.lower()
        await other
        return said

    async with Trial(asking) as trial:
        for n in range(rounds):
            trial.request_changes(await trial.approval(), comment="cheaper")
            if n < others:
                trial.signal("other")
        await ended(trial, end)
        for _ in range(others - min(others, rounds)):
            trial.signal("other")
        paid = f"paid {120 - 10 * rounds}"
        assert await trial.result() == (paid if end == "granted" else end)
        transcript = trial.transcript()
    events = transcript.events[: cut % (len(transcript.events) + 1)]
    if events:
        replay(_beginning(transcript, events), asking)


async def ended(trial: Trial, how: str) -> None:
    """Let the pending approval end, and what was granted be used."""
    approval = await trial.approval()
    if how == "rejected":
        trial.reject(approval, comment="no")
    elif how == "expired":
        trial.expire(approval)
    else:
        trial.grant(approval)
        await trial.pending()
        if how == "revoked":
            trial.revoke(approval, reason="off")
        if how == "lapsed":
            await trial.skip(2 * HOUR)
        trial.signal("go")


def _beginning(transcript: Transcript, events: list[Past]) -> Transcript:
    """Return what was recorded up to an event, with the execution as it was then."""
    if len(events) == len(transcript.events):
        return transcript
    execution = replace(transcript.execution, state=ExecutionState.RUNNING, result=None, error=None)
    return replace(transcript, execution=execution, events=events)


def adding(engine: Engine) -> Engine:
    engine.workflow(name="revising")(revising)
    return engine


async def test_the_service_opens_a_round_for_each_revision_and_a_restart_goes_on_with_it(
    people: People, engine: Made
) -> None:
    approver = await people.get("approver-a")
    async with adding(engine()) as one:
        execution_id = await started(people, one, "revising")
        [first] = await people.pending(execution_id)
        await approver.request_changes(first, comment="cheaper")
        [second] = await people.pending(execution_id)
    async with adding(engine()):
        await approver.request_changes(second, comment="cheaper still")
        [third] = await people.pending(execution_id)
        assert (third.round, third.payload) == (3, {"euros": 100})
        await approver.grant(third)
        assert (await people.ended(execution_id)).result == "paid 100"


async def test_what_is_revoked_or_lapsed_is_raised_by_the_service_too(
    people: People, engine: Made
) -> None:
    approver, operator = await people.get("approver-a"), await people.get("operator")
    made = engine()

    @made.workflow(name="uses")
    async def uses(run: Run, within: float) -> str:
        policy = FINANCE.lapses(timedelta(seconds=within))
        clearance = await run.approval("Pay", payload={"euros": 1}, policy=policy)
        await run.signal("go")
        try:
            return await run.step(pay, clearance.payload, clearance=clearance)
        except (Lapsed, Revoked) as error:
            return type(error).__name__

    async with made:
        revoked = await started(people, made, "uses", 3600)
        [approval] = await people.pending(revoked)
        await approver.grant(approval)
        found = await approver.revoke(approval, reason="the trip is off")
        assert found.approval is not None
        assert found.approval.status == "REVOKED"
        await operator.signal(revoked, "go")
        assert (await people.ended(revoked)).result == "Revoked"

        lapsed = await started(people, made, "uses", 0.001)
        [approval] = await people.pending(lapsed)
        await approver.grant(approval)
        await operator.signal(lapsed, "go")
        assert (await people.ended(lapsed)).result == "Lapsed"
    for execution_id in (revoked, lapsed):
        transcript = await operator.transcript(execution_id)
        assert transcript is not None
        replay(transcript, uses)


async def test_a_retry_keeps_the_rounds_that_led_to_a_grant(people: People, engine: Made) -> None:
    approver, operator = await people.get("approver-a"), await people.get("operator")
    made = engine()
    broken = True

    @made.workflow(name="retried")
    async def retried(run: Run) -> str:
        offer = await run.approval(
            "Offer", payload={"euros": 120}, policy=FINANCE, key="offer", revise=cheaper
        )

        def send() -> str:
            if broken:
                msg = "away"
                raise OSError(msg)
            return f"sent {offer.payload['euros']}"

        return await run.step(send)

    async with made:
        execution_id = await started(people, made, "retried")
        [first] = await people.pending(execution_id)
        await approver.request_changes(first, comment="cheaper")
        [second] = await people.pending(execution_id)
        await approver.grant(second)
        failed = await people.ended(execution_id)
        assert failed.error is not None
        broken = False
        await operator.retry(failed)
        ended = await people.ended(execution_id, after=failed.version)
    assert (ended.result, ended.parked) == ("sent 110", None)
    history = await operator.history(execution_id)
    assert history is not None
    assert [each.round for each in history.approvals] == [1, 2]


async def test_a_retry_after_requested_changes_asks_for_every_round_anew(
    people: People, engine: Made
) -> None:
    approver, operator = await people.get("approver-a"), await people.get("operator")
    made = engine()

    @made.workflow(name="again")
    async def again(run: Run) -> str:
        offer = await run.approval(
            "Offer", payload={"euros": 120}, policy=FINANCE, key="offer", revise=cheaper
        )
        return f"sent {offer.payload['euros']}"

    async with made:
        execution_id = await started(people, made, "again")
        [first] = await people.pending(execution_id)
        await approver.request_changes(first, comment="cheaper")
        [second] = await people.pending(execution_id)
        await approver.reject(second, comment="no")
        failed = await people.ended(execution_id)
        await operator.retry(failed)
        [third] = await people.pending(execution_id)
        assert (third.round, third.payload) == (3, {"euros": 120})
        await approver.request_changes(third, comment="cheaper")
        [fourth] = await people.pending(execution_id)
        assert (fourth.round, fourth.payload) == (4, {"euros": 110})
        await approver.grant(fourth)
        ended = await people.ended(execution_id, after=failed.version)
    assert ended.result == "sent 110"
