"""The ways to wait, each as one function, and what may become of what is waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from placet import Approval, Client, Execution, ExecutionState, require
from placet.models.transitions import FINAL
from tests.sdk.people import People, until

FINANCE = require(1, group="finance")
OVER = FINAL | {ExecutionState.RESUMED}

Outcome = tuple[ExecutionState, int]
Way = Callable[[Client, str], Awaitable[Outcome]]
History = Callable[[People, Approval], Awaitable[None]]


def over(execution: Execution) -> bool:
    return execution.state in OVER


async def push(client: Client, execution_id: str) -> Outcome:
    execution = await client.wait(execution_id, until=over)
    return execution.state, execution.version


async def poll(client: Client, execution_id: str) -> Outcome:
    execution = await client.wait(execution_id, until=over, mode="poll")
    return execution.state, execution.version


async def interval(client: Client, execution_id: str) -> Outcome:
    execution = await client.wait(execution_id, until=over, mode="poll", poll=0.02)
    return execution.state, execution.version


async def watch(client: Client, execution_id: str) -> Outcome:
    async with client.watch(execution_id) as watched:
        state = await watched.until(*OVER)
        return state, watched.version


async def polled_watch(client: Client, execution_id: str) -> Outcome:
    async with client.watch(execution_id, mode="poll") as watched:
        state = await watched.until(*OVER)
        return state, watched.version


WAYS: tuple[Way, ...] = (push, poll, interval, watch, polled_watch)


async def grant(people: People, approval: Approval) -> None:
    await (await people.get("approver-a")).grant(approval)


async def reject(people: People, approval: Approval) -> None:
    await (await people.get("approver-a")).reject(approval, comment="too dear")


async def withdraw(people: People, approval: Approval) -> None:
    await (await people.get("engine")).withdraw(approval.id, "not needed")


async def cancel(people: People, approval: Approval) -> None:
    await (await people.get("operator")).cancel(approval.execution_id, "no longer wanted")


async def fail(people: People, approval: Approval) -> None:
    await (await people.get("engine")).fail(approval.execution_id, "it broke")


OUTCOMES: dict[History, Outcome] = {
    grant: (ExecutionState.RESUMED, 4),
    reject: (ExecutionState.RESUMED, 4),
    withdraw: (ExecutionState.RESUMED, 4),
    cancel: (ExecutionState.CANCELLED, 4),
    fail: (ExecutionState.FAILED, 4),
}
"""After Started and ApprovalRequested there are two more events, and the last one ends the wait."""


async def asked(people: People, group: str = "finance", count: int = 1) -> Approval:
    """Start an execution and ask for an approval of it."""
    execution_id = await people.start("waited-for")
    engine = await people.get("engine")
    accepted = await engine.request_approval(
        execution_id, "go", "Go?", payload={"n": 1}, policy=require(count, group=group)
    )
    assert accepted.approval is not None
    return accepted.approval


async def underway(client: Client, waiting: "asyncio.Future[Any]") -> None:
    """Wait until the client has told the service what it waits for."""

    async def told() -> bool | None:
        if waiting.done():
            waiting.result()
        transport = client.transport
        socket, session = transport._open_socket, transport._open_waiting
        subscribed = socket and socket._connection and socket._connection._queues
        asked = session and session.connector and session.connector._acquired
        return True if subscribed or asked else None

    await until(told)
