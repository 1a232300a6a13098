"""What a workflow may do with its run, in memory."""

import asyncio
import functools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from placet import ApprovalRecord, Clearance, Rejected, Run, require
from placet.errors import AlreadyRedeemed, DigestMismatch, Expired, NotEligible
from placet.models.enums import Verdict
from placet.testing import Trial
from placet.testing.trial import START, TrialFailed
from tests.sdk.engine.test_result_types import Offer
from tests.sdk.trials import result

FINANCE = require(1, group="finance")


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def steps(trial: Trial) -> list[tuple[str, int, str]]:
    return [
        (event.data["key"], event.data["attempt"], event.data.get("error", "done"))
        for event in trial.events
        if event.type in {"StepCompleted", "StepFailed"}
    ]


async def test_keys_follow_the_order_of_calls() -> None:
    async def workflow(run: Run) -> list[int]:
        later, first = run.step(double, 1), run.step(double, 2)
        return [await first, await later]

    async with Trial(workflow) as trial:
        assert await trial.result() == [4, 2]
        assert [key for key, *_ in steps(trial)] == ["double-2", "double-1"]


async def test_an_approval_is_in_a_trial_what_it_is_in_production() -> None:
    async def workflow(run: Run) -> str:
        return type((await run.approval("Trip", payload=1, policy=FINANCE)).approval).__name__

    async with Trial(workflow) as trial:
        trial.grant(await trial.approval())
        assert await trial.result() == ApprovalRecord.__name__


async def test_a_key_is_used_once() -> None:
    async def workflow(run: Run) -> None:
        await run.step(double, 1, key="k")
        await run.step(double, 1, key="k")

    with pytest.raises(TrialFailed, match="'k' is used twice"):
        await result(workflow)


@pytest.mark.parametrize("named", [{"key": "patched:fee"}, {"name": "patched:fee"}])
async def test_the_keys_of_patches_are_kept_for_them(named: dict[str, Any]) -> None:
    async def workflow(run: Run) -> int:
        return await run.step(double, 1, **named)

    with pytest.raises(TrialFailed, match="ValueError: the key 'patched:fee"):
        await result(workflow)


async def test_a_function_that_blocks_gets_a_thread() -> None:
    def names() -> list[str]:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return ["a"]

    async def workflow(run: Run) -> list[str]:
        return await run.step(names)

    assert await result(workflow) == ["a"]


async def test_a_payload_must_be_something() -> None:
    async def workflow(run: Run) -> None:
        await run.approval("Trip", payload=None, policy=FINANCE)

    with pytest.raises(TrialFailed, match="must not be None"):
        await result(workflow)


async def test_a_decorator_may_fill_in_what_a_workflow_takes_besides() -> None:
    def with_bank(function: Any) -> Any:
        @functools.wraps(function)
        async def filled_in(*given: Any) -> Any:
            return await function(*given, bank="ours")

        return filled_in

    @with_bank
    async def workflow(_: Run, wish: str, *, bank: str) -> str:
        return f"{wish} from {bank}"

    assert await result(workflow, "gold") == "gold from ours"


async def test_a_step_with_a_clearance_has_no_second_try() -> None:
    async def workflow(run: Run) -> None:
        clearance = await run.approval("Trip", payload=1, policy=FINANCE)
        await run.step(print, clearance=clearance, retries=1)

    async with Trial(workflow) as trial:
        trial.grant(await trial.approval())
        with pytest.raises(TrialFailed, match="retries"):
            await trial.result()


async def test_a_clearance_has_what_those_who_granted_filled_in() -> None:
    clearances: list[Clearance] = []

    async def workflow(run: Run) -> None:
        clearances.append(await run.approval("Trip", payload=1, policy=FINANCE))

    async with Trial(workflow) as trial:
        trial.grant(await trial.approval(), by="ada")
        await trial.result()
    clearance = clearances[0]
    assert clearance.answers == ()
    [granted] = clearance.decisions
    filled_in = msgspec.structs.replace(granted, answers={"cost centre": 17})
    rejected = msgspec.structs.replace(
        granted, verdict=Verdict.REJECTED, answers={"cost centre": 18}
    )
    several = replace(clearance, decisions=(rejected, granted, filled_in))
    assert several.answers == ({"cost centre": 17},)


async def test_a_clearance_is_used_once_and_for_what_was_granted() -> None:
    async def workflow(run: Run) -> list[str]:
        clearance: Clearance = await run.approval("Trip", payload={"cost": 1}, policy=FINANCE)
        clearance.payload["cost"] = 2
        with pytest.raises(DigestMismatch):
            await run.step(double, 1, clearance=clearance)
        clearance.payload["cost"] = 1
        await run.step(double, 2, clearance=clearance)
        with pytest.raises(AlreadyRedeemed):
            await run.step(double, 3, clearance=clearance)
        return [decision.by.id for decision in clearance.decisions]

    async with Trial(workflow) as trial:
        trial.grant(await trial.approval(), by="ada")
        assert await trial.result() == ["ada"]
        assert [key for key, _, said in steps(trial) if said == "done"] == ["double-2"]


async def test_a_rejection_and_an_expiry_are_raised() -> None:
    async def workflow(run: Run) -> list[str]:
        outcomes = await asyncio.gather(
            *(run.approval(t, payload=1, policy=FINANCE, key=t) for t in "ab"),
            return_exceptions=True,
        )
        assert [type(each) for each in outcomes] == [Rejected, Expired]
        return [str(each) for each in outcomes]

    async with Trial(workflow) as trial:
        trial.reject(await trial.approval("a"), comment="too dear")
        trial.expire(await trial.approval("b"))
        assert await trial.result() == [
            "approval 'a' was rejected: too dear",
            "approval 'b' was expired",
        ]


async def test_an_approval_given_up_is_withdrawn_before_the_end() -> None:
    async def workflow(run: Run) -> str:
        waiting = asyncio.ensure_future(run.approval("Trip", payload=1, policy=FINANCE))
        done, _ = await asyncio.wait([waiting], timeout=3600)
        return "answered" if done else "given up"

    async with Trial(workflow) as trial:
        assert await trial.result() == "given up"
        assert [e.type for e in trial.events][-2:] == ["ApprovalWithdrawn", "Completed"]
        assert trial.now == START + timedelta(hours=1)


async def test_time_is_skipped_and_fires_in_order() -> None:
    async def workflow(run: Run) -> list[str]:
        order: list[str] = []

        async def nap(name: str, days: int) -> None:
            await run.sleep(timedelta(days=days))
            order.append(name)

        await asyncio.gather(nap("late", 90), nap("soon", 1))
        await run.sleep_until(datetime(2027, 1, 1, tzinfo=UTC))
        return order

    async with Trial(workflow) as trial:
        await trial.skip(timedelta(days=2))
        assert trial.now == START + timedelta(days=2)
        assert await trial.result() == ["soon", "late"]
        assert trial.now == datetime(2027, 1, 1, tzinfo=UTC)


async def test_the_time_that_a_workflow_reads_is_skipped_too() -> None:
    async def workflow(run: Run) -> int:
        due, weeks = await run.now() + timedelta(days=30), 0
        while await run.now() < due:
            await run.sleep(timedelta(days=7))
            weeks += 1
        return weeks

    async with Trial(workflow, seconds=2) as trial:
        assert await trial.result() == 5
        assert trial.now == START + timedelta(weeks=5)


async def test_a_time_without_a_zone_is_no_moment() -> None:
    async def workflow(run: Run) -> None:
        await run.sleep_until(datetime(2027, 1, 1))  # noqa: DTZ001 - what is tested

    with pytest.raises(TrialFailed, match="needs a time with a time zone"):
        await result(workflow)


async def test_a_signal_of_another_kind_is_an_error() -> None:
    async def workflow(run: Run) -> Any:
        return await run.signal("offer", Offer)

    async with Trial(workflow) as trial:
        trial.signal("offer", {"quotes": "many"})
        with pytest.raises(TrialFailed, match="quotes"):
            await trial.result()


async def test_a_run_is_for_its_workflow_alone() -> None:
    async def workflow(run: Run) -> None:
        async def nested() -> None:
            await run.step(double, 1)

        await run.step(nested)

    with pytest.raises(TrialFailed, match=r"run.step is for the workflow itself"):
        await result(workflow)


async def test_what_only_the_test_can_let_happen_is_named() -> None:
    async def workflow(run: Run) -> None:
        await run.approval("Trip", payload=1, policy=FINANCE)

    async with Trial(workflow) as trial:
        with pytest.raises(LookupError, match="waits for approval 'approval-1', and no timer"):
            await trial.result()
        with pytest.raises(LookupError, match="0 such approvals; all that are pending: approval-1"):
            await trial.approval("other")


async def test_signals_timers_and_steps_that_are_waited_for_are_named() -> None:
    async def workflow(run: Run) -> None:
        await run.sleep(60, key="rest")
        async with asyncio.TaskGroup() as both:
            both.create_task(run.signal("ticket"))
            both.create_task(run.approval("Trip", payload=1, policy=FINANCE))
        await run.step(asyncio.Event().wait, key="flight")

    async with Trial(workflow, seconds=0.2) as trial:
        with pytest.raises(LookupError, match=r"pending: none; it waits for timer 'rest'$"):
            await trial.approval()
        both = "waits for approval 'approval-1', signal 'ticket', and no timer"
        with pytest.raises(LookupError, match=both):
            await trial.result()
        trial.grant(await trial.approval())
        with pytest.raises(LookupError, match="waits for signal 'ticket', and no timer"):
            await trial.result()
        trial.signal("ticket")
        with pytest.raises(TimeoutError, match=r"busy for 0.2 s.* it waits for step 'flight'"):
            await trial.result()


async def test_an_approval_of_a_workflow_that_has_ended_is_not_waited_for() -> None:
    async def workflow(run: Run) -> None:
        del run

    async with Trial(workflow) as trial:
        with pytest.raises(LookupError, match="pending: none; it has ended"):
            await trial.approval()


async def test_the_order_of_a_wait_is_that_of_the_record() -> None:
    async def workflow(run: Run) -> list[str]:
        order: list[str] = []

        async def branch(name: str) -> str:
            await run.step(double, 1, name=name)
            return name

        waiting = {asyncio.ensure_future(branch(f"b{n}")) for n in range(8)}
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            order += [each.result() for each in done]
            await run.step(double, 1, name=f"after-{order[-1]}")
        return order

    for _ in range(5):
        assert sorted(await result(workflow)) == [f"b{n}" for n in range(8)]


async def test_what_a_workflow_leaves_behind_asks_for_nothing_more() -> None:
    async def workflow(run: Run) -> str:
        async def left() -> None:
            try:
                await run.sleep(3600)
            finally:
                await run.approval("Never seen", payload=1, policy=FINANCE)

        task = asyncio.ensure_future(left())
        await run.step(double, 1)
        assert not task.done()
        return "done"

    async with Trial(workflow) as trial:
        assert await trial.result() == "done"
        assert "ApprovalRequested" not in [event.type for event in trial.events]


@pytest.mark.parametrize("allowed", [False, True])
async def test_who_started_it_does_not_grant_it_unless_the_policy_lets_him(
    *, allowed: bool
) -> None:
    policy = FINANCE.allow_initiator() if allowed else FINANCE

    async def workflow(run: Run) -> str:
        clearance = await run.approval("Trip", payload={}, policy=policy)
        return clearance.decisions[0].by.id

    async with Trial(workflow, initiator="ann") as trial:
        approval = await trial.approval()
        if not allowed:
            with pytest.raises(NotEligible, match="ann started the execution"):
                trial.grant(approval, by="ann")
        by = "ann" if allowed else "ada"
        trial.grant(approval, by=by)
        assert await trial.result() == by


async def test_what_a_workflow_is_given_it_may_change() -> None:
    async def listed() -> list[str]:
        return ["step"]

    async def workflow(run: Run) -> list[str]:
        items = await run.step(listed)
        for got in (await run.signal("more"), await run.child("more")):
            items += got
            got.clear()
        clearance = await run.approval("Trip", payload=items, policy=FINANCE)
        clearance.payload.append("approval")
        return [*clearance.payload, *(await run.step(listed))]

    async with Trial(workflow, children={"more": lambda _: ["child"]}) as trial:
        trial.signal("more", ["signal"])
        trial.grant(await trial.approval())
        found = await trial.result()
        assert found == ["step", "signal", "child", "approval", "step"]
        found.clear()
