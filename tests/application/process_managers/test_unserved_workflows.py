"""Executions whose workflow no connected worker knows are said so after a minute."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from application.metrics import UNSERVED
from application.process_managers import unserved_workflows
from application.process_managers.unserved_workflows import PATIENCE
from application.workers.known_workflows import KnownWorkflows, Workflow
from tests.application.server_process import ServerProcess
from tests.domain.people import ENGINE

LEASE = timedelta(minutes=10)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass for the watch."""
    now = 0.0
    monkeypatch.setattr(unserved_workflows, "monotonic", lambda: now)

    def pass_by(seconds: float) -> None:
        nonlocal now
        now += seconds

    return pass_by


async def serve(process: ServerProcess, *workflows: Workflow, queue: str = "default") -> None:
    """Let a worker that is connected know these workflows."""
    known = KnownWorkflows(workflows) if workflows else None
    await process.leases.renew(ENGINE.id, f"worker of {queue}", LEASE, [queue], known)


async def said(process: ServerProcess) -> tuple[list[tuple[str, str | None, int]], float]:
    """Look once. Give what the log says, and the metric."""
    with capture_logs() as logs:
        await process.unserved.check()
    lines = [
        (line["workflow"], line["version"], line["executions"])
        for line in logs
        if line["event"] == "no_worker_knows_workflow"
    ]
    return lines, UNSERVED._value.get()


async def test_it_is_said_once_and_counted_while_it_lasts(
    process: ServerProcess, later: Callable[[float], None]
) -> None:
    await process.start(workflow_version="2")
    await process.start(workflow_version="2")
    await serve(process, Workflow("travel", "1"), Workflow("tax", None))

    assert await said(process) == ([], 0)
    later(PATIENCE)
    assert await said(process) == ([("travel", "2", 2)], 2)
    later(PATIENCE)
    assert await said(process) == ([], 2)
    await serve(process, Workflow("travel", "2"))
    assert await said(process) == ([], 0)


@pytest.mark.parametrize("known", [Workflow("travel", None), Workflow("travel", "2")])
async def test_what_a_worker_knows_may_wait_for_its_turn(
    process: ServerProcess, later: Callable[[float], None], known: Workflow
) -> None:
    await process.start(workflow_version="2")
    await serve(process, known)

    await said(process)
    later(PATIENCE)
    assert await said(process) == ([], 0)


async def test_a_worker_of_another_queue_or_of_the_past_does_not_count(
    process: ServerProcess, later: Callable[[float], None]
) -> None:
    await process.start()
    await serve(process, queue="other")
    await process.leases.renew(ENGINE.id, "gone", timedelta(0), ["default"], None)

    await said(process)
    later(PATIENCE)
    assert await said(process) == ([("travel", None, 1)], 1)


async def test_a_worker_that_does_not_say_what_it_knows_may_know_all(
    process: ServerProcess, later: Callable[[float], None]
) -> None:
    await process.start()
    await process.leases.renew(ENGINE.id, "older", LEASE)

    await said(process)
    later(PATIENCE)
    assert await said(process) == ([], 0)


async def test_what_waits_for_people_waits_for_no_worker(
    process: ServerProcess, later: Callable[[float], None]
) -> None:
    execution = await process.start()
    await process.ask(execution.id)

    await said(process)
    later(PATIENCE)
    assert await said(process) == ([], 0)
