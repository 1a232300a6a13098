"""However an engine hears of what it waits for, the same comes of it."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from placet import ApprovalFilter, ApprovalStatus, Engine, EventFilter, Rejected, Run, require
from placet.errors import REQUEST_ERRORS, Unavailable
from tests.sdk.client.transport.test_http import answers, failure
from tests.sdk.engines import Made, maker, started
from tests.sdk.peer import Peer
from tests.sdk.people import People, Server, until
from tests.support.patience import HANGS

FINANCE = require(1, group="finance")

# What says who did the work, and when there was none to do.
OF_THE_WORKER = {"Claimed", "Suspended"}


async def granted(run: Run) -> object:
    first = await run.step(lambda: 1, name="first")
    clearance = await run.approval("Trip", payload=first, policy=FINANCE)
    return await run.step(lambda: clearance.payload, name="last", clearance=clearance)


async def rejected(run: Run) -> str:
    try:
        await run.approval("reject this", payload=1, policy=FINANCE)
    except Rejected as refused:
        return str(refused)
    return "granted"


async def several(run: Run) -> list[object]:
    approvals = (run.approval(t, payload=t, policy=FINANCE) for t in ("a", "b"))
    return [c.payload for c in await asyncio.gather(*approvals)]


async def beside_a_step(run: Run) -> object:
    async def slow() -> str:
        await asyncio.sleep(0.3)
        return "slow"

    done, clearance = await asyncio.gather(
        run.step(slow), run.approval("Trip", payload="x", policy=FINANCE)
    )
    return [done, clearance.payload]


async def timed(run: Run) -> str:
    await run.sleep(0.2)
    return "rested"


async def signalled(run: Run) -> list[object]:
    return [await run.signal("go"), await run.signal("go")]


async def with_child(run: Run) -> object:
    return await run.child("timed", queue=str(run.input))


async def in_time(run: Run) -> str:
    try:
        async with asyncio.timeout(0.3):
            await run.signal("never")
    except TimeoutError:
        return "too late"
    return "in time"


WORKFLOWS = (
    granted, rejected, several, beside_a_step, timed, signalled, with_child, in_time,
)  # fmt: skip


async def decide_all(people: People, executions: Iterable[str]) -> None:
    """Decide whatever comes for these, as soon as it comes."""
    approver = await people.get("approver-a")
    filters = [
        ApprovalFilter(execution_id=each, status=[ApprovalStatus.PENDING]) for each in executions
    ]
    while True:
        for where in filters:
            for approval in await approver.approvals(where):
                if approval.title == "reject this":
                    await approver.reject(approval, comment="no")
                else:
                    await approver.grant(approval)
        await asyncio.sleep(0.05)


async def outcomes(people: People, server: Server, wait: Any) -> dict[str, Any]:
    operator, auditor = await people.get("operator"), await people.get("auditor")
    engine = maker(server)(wait=wait)
    for workflow in WORKFLOWS:
        engine.workflow(workflow)
    queue = engine.queues[0]
    async with engine:
        ids = {w.__name__: await started(people, engine, w.__name__, queue) for w in WORKFLOWS}
        await operator.signal(ids["signalled"], "go", 1, key="one")
        deciding = asyncio.create_task(decide_all(people, ids.values()))

        async def asleep() -> bool | None:
            execution = await operator.execution(ids["signalled"])
            assert execution is not None
            return execution.asleep or None

        await until(asleep)
        await operator.signal(ids["signalled"], "go", 2, key="two")
        ended = {name: await people.ended(id_) for name, id_ in ids.items()}
        deciding.cancel()
    found = {}
    for name, id_ in ids.items():
        page = await auditor.events(EventFilter(execution_id=id_), first=500)
        types = sorted(e.type for e in page if e.type not in OF_THE_WORKER)
        found[name] = (ended[name].state, ended[name].result, types)
    return found


async def test_push_poll_and_the_fall_back_come_to_the_same(
    people: People, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed = await outcomes(people, server, "push")
    assert {name: result for name, (_, result, _) in pushed.items()} == {
        "granted": 1,
        "rejected": "approval 'approval-1' was rejected: no",
        "several": ["a", "b"],
        "beside_a_step": ["slow", "x"],
        "timed": "rested",
        "signalled": [1, 2],
        "with_child": "rested",
        "in_time": "too late",
    }
    assert await outcomes(people, server, "poll") == pushed

    async def refuse(*_: object) -> None:
        msg = "a proxy does not let WebSockets through"
        raise Unavailable(msg)

    monkeypatch.setattr("placet.client.transport.reconnecting.GraphQLWebSocket.open", refuse)
    monkeypatch.setattr("placet.client.transport.reconnecting.PAUSE_SECONDS", 0.01)
    assert await outcomes(people, server, "push") == pushed


class Full:
    """An engine that polls and can take one execution, which is at a step, and waits for more."""

    def __init__(self, made: Made) -> None:
        self.engine = made(wait="poll", capacity=1)
        self.begun, self.go, self.cut = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.engine.workflow(self.busy)
        self.engine.workflow(timed)

    async def busy(self, run: Run) -> object:
        _, let = await asyncio.gather(run.step(self._work, name="work"), self._released(run))
        return let

    async def _work(self) -> None:
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cut.set()
            raise

    async def _released(self, run: Run) -> str:
        await run.approval("Let it go on", payload=1, policy=FINANCE)
        await run.step(self.go.set, name="go")
        return "let go on"


async def test_an_engine_that_polls_hears_of_decisions_also_when_it_can_take_no_more(
    people: People, engine: Made
) -> None:
    full = Full(engine)
    async with full.engine, asyncio.timeout(HANGS):
        execution_id = await started(people, full.engine, "busy")
        await full.begun.wait()
        next_one = await started(people, full.engine, "timed")
        [approval] = await people.pending(execution_id)
        await (await people.get("approver-a")).grant(approval)
        assert (await people.ended(execution_id)).result == "let go on"
        # And takes the next as soon as there is room for it.
        assert (await people.ended(next_one)).result == "rested"


async def test_an_engine_that_polls_hears_of_cancellations_also_when_it_can_take_no_more(
    people: People, engine: Made
) -> None:
    full = Full(engine)
    async with full.engine, asyncio.timeout(HANGS):
        execution_id = await started(people, full.engine, "busy")
        await full.begun.wait()
        await people.pending(execution_id)
        await (await people.get("operator")).cancel(execution_id, "no")
        await full.cut.wait()


@pytest.mark.parametrize("code", ["INTERNAL", "LIMIT_EXCEEDED", "NOT_FOUND", "READ_MODEL_BEHIND"])
@pytest.mark.parametrize("end", ["UNAUTHENTICATED", "FORBIDDEN", "BAD_REQUEST"])
async def test_only_a_refusal_of_the_engine_itself_ends_it(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, code: str, end: str
) -> None:
    monkeypatch.setattr("placet.engine.work_source.FIRST_PAUSE_SECONDS", 0.001)
    bodies = answers(peer, *[failure(code, 500)] * 3, failure(end))
    engine = Engine(peer.url, token="a-token", wait="poll")
    with pytest.raises(REQUEST_ERRORS[end]):
        await asyncio.wait_for(engine.serve(), HANGS)
    assert len([b for b in bodies if "claimExecutions" in b["query"]]) == 4
