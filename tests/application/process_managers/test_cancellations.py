"""A clean-up that takes too long is ended, by the time of the database."""

import psycopg

from application.workers.known_workflows import KnownWorkflows, Workflow
from application.workers.worker_stream import Ended, Happened, Resolved
from domain.execution.commands import CancelExecution
from domain.execution.events import CancellationRequested, Cancelled
from domain.values import ExecutionState
from tests.application.server_process import ServerProcess, complete, step
from tests.application.workers.test_dispatcher import Worker, worker
from tests.domain.people import OLIVIA

KNOWN = KnownWorkflows([Workflow("travel", None, cleans_up=True)])


def make_due(process: ServerProcess) -> None:
    """Set back when the cancellations were requested, as if their time had passed."""
    with psycopg.connect(process.url) as connection:
        connection.execute(
            "UPDATE execution_holds SET cancel_requested_at = cancel_requested_at - interval '2 h'"
        )


async def cancelled(process: ServerProcess, one: Worker) -> CancelExecution:
    """Start and claim an execution, and cancel it."""
    await process.start()
    granted = await one.claimed()
    command = CancelExecution(by=OLIVIA, execution_id=granted.execution.id, reason="too late")
    await process.do(command)
    return command


async def test_the_worker_is_told_and_ends_it(process: ServerProcess) -> None:
    async with worker(process, known=KNOWN) as one:
        command = await cancelled(process, one)
        told = await one.next()
        assert isinstance(told, Happened)
        assert isinstance(told.event.recorded.event, CancellationRequested)
        await process.do(step(command.execution_id, "refund", fence=1))
        ended = await process.do(complete(command.execution_id, fence=1))
    assert ended.execution.state is ExecutionState.CANCELLED
    assert ended.execution.error == "too late"


async def test_the_request_comes_before_the_withdrawn_approvals(process: ServerProcess) -> None:
    async with worker(process, known=KNOWN) as one:
        execution = await process.start()
        await one.claimed()
        await process.ask(execution.id, fence=1)
        await process.do(CancelExecution(by=OLIVIA, execution_id=execution.id, reason="too late"))
        first, second = await one.next(), await one.next()
    assert isinstance(first, Happened)
    assert isinstance(second, Resolved)


async def test_what_takes_too_long_is_ended(process: ServerProcess) -> None:
    async with worker(process, known=KNOWN) as one:
        command = await cancelled(process, one)
        assert isinstance(await one.next(), Happened)
        make_due(process)
        [ended] = await process.until(command.execution_id, Cancelled)
        assert await one.next() == Ended(command.execution_id)
    assert isinstance(ended.event, Cancelled)
    assert ended.event.content.reason == "too late; its clean-up did not end within 3600 s"
    assert ended.actor.id == "placet"


async def test_another_worker_takes_the_clean_up_over(process: ServerProcess) -> None:
    async with worker(process, known=KNOWN) as one:
        command = await cancelled(process, one)
    await process.leases.release_at(OLIVIA, "one", {command.execution_id: None}, others=True)
    with psycopg.connect(process.url) as connection:
        connection.execute("UPDATE worker_leases SET expires_at = now()")
    async with worker(process, "two", known=KNOWN) as two:
        granted = await two.claimed()
    assert granted.execution.id == command.execution_id
    assert granted.execution.cancel_requested_at is not None


async def test_nobody_has_to_hold_it_for_it_to_end(process: ServerProcess) -> None:
    async with worker(process, known=KNOWN) as one:
        command = await cancelled(process, one)
    make_due(process)
    await process.until(command.execution_id, Cancelled)
