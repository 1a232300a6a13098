"""Workflows against a service."""

import asyncio
from uuid import uuid4

from bench.stack import Stack
from placet import (
    AlreadyRedeemed,
    ApprovalRecord,
    DigestMismatch,
    Doubt,
    Engine,
    ExecutionState,
    Rejected,
    Run,
    StepFailed,
    require,
)
from tests.sdk.engines import Made, started
from tests.sdk.people import People, until
from tests.support.patience import HANGS

FINANCE = require(1, group="finance")
LEGAL = require(1, group="legal")


def patient(engine: Engine, stopped: asyncio.Event) -> Engine:
    """Let the engine have a workflow that waits, and tells when it is stopped at that."""

    @engine.workflow(name="patient")
    async def waits(run: Run) -> None:
        try:
            await run.approval("Trip", payload={}, policy=FINANCE)
        except asyncio.CancelledError:
            stopped.set()
            raise

    return engine


class Paying:
    """A step that begins and does not end."""

    def __init__(self) -> None:
        self.times = 0
        self.begun = asyncio.Event()

    async def pay(self) -> None:
        self.times += 1
        self.begun.set()
        await asyncio.get_running_loop().create_future()


async def test_a_workflow_stops_for_approval_and_goes_on(people: People, engine: Made) -> None:
    approver = await people.get("approver-a")
    booked: list[object] = []

    def estimate(trip: dict[str, str]) -> dict[str, object]:
        return {"to": trip["to"], "cost": 12.5}

    travel = engine()

    @travel.workflow
    async def permit(run: Run, trip: dict[str, str]) -> object:
        cost = await run.step(estimate, trip)
        clearance = await run.approval("Trip", payload=cost, policy=FINANCE)
        return await run.step(booked.append, clearance.payload, clearance=clearance)

    async with travel:
        execution_id = await started(people, travel, "permit", {"to": "Eindhoven"})
        [approval] = await people.pending(execution_id)
        await approver.grant(approval)
        ended = await people.ended(execution_id)
    assert (ended.state, ended.result) == (ExecutionState.COMPLETED, None)
    assert booked == [{"to": "Eindhoven", "cost": 12.5}]


async def test_several_are_waited_for_at_once(people: People, engine: Made) -> None:
    both = engine()

    @both.workflow
    async def two(run: Run) -> object:
        clearances = await asyncio.gather(
            run.approval("Money", payload=1, policy=FINANCE),
            run.approval("Law", payload=2, policy=LEGAL),
        )
        return [each.payload for each in clearances]

    async with both:
        execution_id = await started(people, both, "two")
        money, law = await people.pending(execution_id, 2)
        await (await people.get("approver-c")).grant(law)
        await (await people.get("approver-a")).grant(money)
        assert (await people.ended(execution_id)).result == [1, 2]


async def test_of_an_approval_every_worker_is_given_the_same(
    people: People, engine: Made, server: Stack
) -> None:
    """Whether the viewer may decide, say, would be another for a worker with other roles."""
    given: list[ApprovalRecord] = []

    def going_on(made: Engine) -> Engine:
        @made.workflow(name="permit")
        async def permit(run: Run) -> None:
            given.append((await run.approval("Trip", payload={}, policy=FINANCE)).approval)
            await run.signal("more")

        return made

    async def told() -> bool | None:
        return bool(given) or None

    operator, approver = await people.get("operator"), await people.get("approver-a")
    async with going_on(engine()) as first:
        execution_id = await started(people, first, "permit")
        [approval] = await people.pending(execution_id)
        await approver.grant(approval)
        await until(told)
    # Why this one may not decide is another reason.
    token = server.create_token(f"other-{uuid4()}", "ENGINE", ["finance"])
    async with going_on(Engine(server.url, token=token, queues=first.queues)):
        await operator.signal(execution_id, "more", None)
        await people.ended(execution_id)
    live, replayed = given
    assert live == replayed
    assert not hasattr(live, "viewer_may_decide")


async def test_a_rejection_can_be_handled(people: People, engine: Made) -> None:
    handling = engine()

    @handling.workflow
    async def careful(run: Run) -> str:
        try:
            await run.approval("Trip", payload={}, policy=FINANCE)
        except Rejected as rejected:
            return str(rejected)
        return "granted"

    async with handling:
        execution_id = await started(people, handling, "careful")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).reject(approval, comment="too dear")
        ended = await people.ended(execution_id)
    assert ended.result == "approval 'approval-1' was rejected: too dear"


async def test_a_rejection_that_is_not_handled_fails_the_execution(
    people: People, engine: Made
) -> None:
    plain = engine()

    @plain.workflow
    async def careless(run: Run) -> None:
        await run.approval("Trip", payload={}, policy=FINANCE)

    async with plain:
        execution_id = await started(people, plain, "careless")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).reject(approval, comment="too dear")
        ended = await people.ended(execution_id)
    assert ended.state is ExecutionState.FAILED
    assert ended.error == "Rejected: approval 'approval-1' was rejected: too dear"


async def test_another_engine_goes_on_where_one_stopped(people: People, engine: Made) -> None:
    done: list[str] = []

    def work(name: str) -> int:
        done.append(name)
        return len(done)

    def add(to: Engine) -> None:
        @to.workflow
        async def steps(run: Run) -> list[int]:
            first = await run.step(work, "first")
            await run.approval("Go on", payload={}, policy=FINANCE)
            return [first, await run.step(work, "second")]

    one, other = engine(), engine()
    add(one)
    add(other)
    async with one:
        execution_id = await started(people, one, "steps")
        [approval] = await people.pending(execution_id)
    async with other:
        await (await people.get("approver-a")).grant(approval)
        ended = await people.ended(execution_id)
    assert (ended.result, ended.fence) == ([1, 2], 2)
    assert done == ["first", "second"]


async def test_a_clearance_is_used_once_and_for_what_was_granted(
    people: People, engine: Made
) -> None:
    done: list[object] = []
    strict = engine()

    @strict.workflow
    async def once(run: Run) -> list[str]:
        clearance = await run.approval("Trip", payload={"cost": 1}, policy=FINANCE)
        said: list[str] = []
        clearance.payload["cost"] = 2
        try:
            await run.step(done.append, clearance.payload, clearance=clearance)
        except DigestMismatch as refused:
            said.append(refused.code)
        clearance.payload["cost"] = 1
        await run.step(done.append, clearance.payload, clearance=clearance)
        try:
            await run.step(done.append, clearance.payload, clearance=clearance)
        except AlreadyRedeemed as refused:
            said.append(refused.code)
        return said

    async with strict:
        execution_id = await started(people, strict, "once")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        ended = await people.ended(execution_id)
    assert ended.result == ["DIGEST_MISMATCH", "ALREADY_REDEEMED"]
    assert done == [{"cost": 1}]


async def test_what_is_done_is_what_was_redeemed_whatever_becomes_of_it_meanwhile(
    people: People, engine: Made
) -> None:
    done: list[object] = []
    hasty = engine()

    @hasty.workflow
    async def changes(run: Run) -> None:
        clearance = await run.approval("Trip", payload={"cost": 1}, policy=FINANCE)
        redeeming = asyncio.ensure_future(
            run.step(done.append, clearance.payload, clearance=clearance)
        )
        await asyncio.sleep(0)
        clearance.payload["cost"] = 1_000_000
        await redeeming

    async with hasty:
        execution_id = await started(people, hasty, "changes")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        ended = await people.ended(execution_id)
    assert ended.state is ExecutionState.COMPLETED
    assert done == [{"cost": 1}]


async def test_approved_work_in_doubt_is_not_begun_again(people: People, engine: Made) -> None:
    paying = Paying()

    def add(to: Engine) -> None:
        @to.workflow
        async def risky(run: Run) -> None:
            clearance = await run.approval("Trip", payload={}, policy=FINANCE)
            await run.step(paying.pay, clearance=clearance)

    one, other = engine(), engine()
    add(one)
    add(other)
    async with one:
        execution_id = await started(people, one, "risky")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        async with asyncio.timeout(HANGS):
            await paying.begun.wait()
    async with other:
        ended = await people.ended(execution_id)
    assert ended.state is ExecutionState.FAILED
    assert (ended.error or "").startswith("Doubt: step 'pay-1' had redeemed approval")
    assert paying.times == 1


async def test_a_doubt_is_settled_by_whom_the_workflow_asks(people: People, engine: Made) -> None:
    paying = Paying()

    def add(to: Engine) -> Engine:
        @to.workflow
        async def careful(run: Run) -> str:
            clearance = await run.approval("Pay", payload={"euros": 120}, policy=FINANCE)
            try:
                await run.step(paying.pay, clearance=clearance)
            except Doubt:
                found = await run.approval("Was it paid?", payload={"euros": 120}, policy=FINANCE)
                return f"paid, says {found.decisions[0].by.id}"
            return "paid"

        return to

    async def granted(ordinal: int) -> None:
        [approval] = await people.pending(execution_id)
        assert approval.id == f"{execution_id}.{ordinal}"
        await (await people.get("approver-a")).grant(approval)

    one, other, third = add(engine()), add(engine()), add(engine())
    async with one:
        execution_id = await started(people, one, "careful")
        await granted(1)
        async with asyncio.timeout(HANGS):
            await paying.begun.wait()
    async with other:
        await people.pending(execution_id)
    async with third:
        await granted(2)
        ended = await people.ended(execution_id)
    assert (ended.result, paying.times) == ("paid, says approver-a", 1)


async def test_a_retry_repeats_the_failed_step_alone(people: People, engine: Made) -> None:
    operator = await people.get("operator")
    tried: list[str] = []
    frail = engine()

    @frail.workflow
    async def two_steps(run: Run) -> str:
        await run.step(lambda: tried.append("sound"), name="sound")
        return str(await run.step(weak, retries=1, pause=0))

    def weak() -> str:
        tried.append("weak")
        if len(tried) < 4:
            msg = "boom"
            raise OSError(msg)
        return "done"

    async with frail:
        execution_id = await started(people, frail, "two_steps")
        failed = await people.ended(execution_id)
        assert failed.error == "StepFailed: step 'weak-1' failed: OSError: boom"
        await operator.retry(failed)
        ended = await people.ended(execution_id, after=failed.version)
    assert ended.result == "done"
    assert tried == ["sound", "weak", "weak", "weak"]


async def test_a_cancelled_execution_stops_its_run(people: People, engine: Made) -> None:
    operator = await people.get("operator")
    stopped = asyncio.Event()
    async with patient(engine(), stopped) as waiting:
        execution_id = await started(people, waiting, "patient")
        await people.pending(execution_id)
        await operator.cancel(execution_id, "no longer needed")
        async with asyncio.timeout(HANGS):
            await stopped.wait()
    ended = await people.ended(execution_id)
    assert ended.state is ExecutionState.CANCELLED


async def test_a_caught_step_failure_lets_the_workflow_go_on(people: People, engine: Made) -> None:
    calm = engine()

    @calm.workflow
    async def tolerant(run: Run) -> str:
        try:
            await run.step(int, "x")
        except StepFailed as failed:
            return failed.error
        return "no failure"

    async with calm:
        execution_id = await started(people, calm, "tolerant")
        ended = await people.ended(execution_id)
    assert ended.result == "ValueError: invalid literal for int() with base 10: 'x'"
