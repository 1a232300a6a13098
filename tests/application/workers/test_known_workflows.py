"""Workers get the executions whose workflow and version they know, and no others."""

import asyncio
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from application.event_store.schema import create_tables
from application.workers.known_workflows import Candidate, KnownWorkflows, Workflow
from domain.execution.events import CleanUpDeclared
from tests.application.server_process import ServerProcess
from tests.application.workers.test_dispatcher import worker
from tests.application.workers.test_leases import run_out
from tests.domain.people import ENGINE

LEASE = timedelta(minutes=10)
OLD = KnownWorkflows([Workflow("travel", "1")])
NEW = KnownWorkflows([Workflow("travel", "2"), Workflow("tax", None)])


@pytest.mark.parametrize(
    ("workflow", "version", "knows"),
    [
        ("travel", "2", True),
        ("travel", "1", False),
        ("travel", None, False),
        ("tax", None, True),
        ("tax", "7", True),
        ("payroll", None, False),
        (None, None, True),
    ],
)
def test_a_workflow_without_a_version_stands_for_all(
    workflow: str | None, version: str | None, *, knows: bool
) -> None:
    assert NEW.knows(Candidate(UUID(int=1), "default", workflow, version)) is knows


def test_the_clean_up_is_that_of_the_code_that_would_run() -> None:
    both = KnownWorkflows([Workflow("travel", None, cleans_up=True), Workflow("travel", "2")])

    assert both.cleans_up(Candidate(UUID(int=1), "default", "travel", "1"))
    assert not both.cleans_up(Candidate(UUID(int=1), "default", "travel", "2"))


async def poll(process: ServerProcess, known: KnownWorkflows | None, name: str) -> set[UUID]:
    answer = await process.long_polling.claim(
        ENGINE, name, ["default"], 10, LEASE, wait=timedelta(0), holding=None, known=known
    )
    return {grant.execution.id for grant in answer.grants}


async def test_polls_choose_by_what_the_worker_knows(process: ServerProcess) -> None:
    first = await process.start(workflow_version="1")
    second = await process.start(workflow_version="2")
    tax = await process.start(workflow="tax", workflow_version="9")
    unknown = await process.start(workflow="payroll")

    assert await poll(process, OLD, "old") == {first.id}
    assert await poll(process, NEW, "new") == {second.id, tax.id}
    assert await poll(process, None, "any") == {unknown.id}


async def test_a_stream_gets_what_it_knows_and_leaves_the_rest(process: ServerProcess) -> None:
    async with worker(process, "new", known=NEW) as new:
        first = await process.start(workflow_version="1")
        second = await process.start(workflow_version="2")
        assert (await new.claimed()).execution.id == second.id
        async with worker(process, "old", known=OLD) as old:
            assert (await old.claimed()).execution.id == first.id


async def test_what_a_dead_worker_held_goes_to_one_that_knows_it(process: ServerProcess) -> None:
    execution = await process.start(workflow_version="1")
    assert await poll(process, OLD, "dead") == {execution.id}
    run_out(process, "dead")

    assert await poll(process, NEW, "new") == set()
    assert await poll(process, OLD, "another") == {execution.id}


async def test_a_woken_execution_waits_for_one_that_knows_it(process: ServerProcess) -> None:
    execution = await process.start(workflow_version="1")
    assert await poll(process, OLD, "old") == {execution.id}
    await process.leases.release_at(ENGINE, "old", {execution.id: None})
    async with worker(process, "new", known=NEW) as new:
        other = await process.start(workflow_version="2")
        assert (await new.claimed()).execution.id == other.id
        async with worker(process, "old again", known=OLD) as old:
            assert (await old.claimed()).execution.id == execution.id


async def test_a_full_worker_gets_the_rest_once_it_has_room(process: ServerProcess) -> None:
    async with worker(process, "new", capacity=1, known=NEW) as new:
        await process.start(workflow_version="1")
        first = await process.start(workflow_version="2")
        second = await process.start(workflow_version="2")
        assert (await new.claimed()).execution.id == first.id
        await process.leases.release_at(ENGINE, "new", {first.id: 0})
        process.dispatcher.released(ENGINE, "new", [first.id])
        claimed = {(await new.claimed()).execution.id}
        assert claimed <= {first.id, second.id}


async def test_a_worker_that_cleans_up_declares_it_with_the_claim(process: ServerProcess) -> None:
    known = KnownWorkflows([Workflow("travel", None, cleans_up=True)])
    execution = await process.start()
    async with worker(process, known=known) as one:
        granted = await one.claimed()
        assert (granted.execution.id, granted.execution.cleans_up) == (execution.id, True)
    [declared] = await process.until(execution.id, CleanUpDeclared)
    assert declared.version == 2


async def test_rows_of_older_servers_are_completed_from_the_log(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        first = await process.start(workflow_version="1")
        with psycopg.connect(log_url, autocommit=True) as connection:
            connection.execute(
                "UPDATE execution_holds SET workflow = NULL, workflow_version = NULL"
            )
        found = await process.leases.claimable([first.id])
        assert found == [Candidate(first.id, "default", None, None)]
        await asyncio.to_thread(create_tables, log_url)
        found = await process.leases.claimable([first.id])
        assert found == [Candidate(first.id, "default", "travel", "1")]


async def test_a_damaged_event_does_not_keep_the_tables_from_being_completed(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        with psycopg.connect(log_url, autocommit=True) as connection:
            connection.execute("UPDATE execution_holds SET workflow = NULL")
            connection.execute("UPDATE execution_events SET state = 'no JSON'")
        await asyncio.to_thread(create_tables, log_url)
        [found] = await process.leases.claimable([execution.id])
        assert found.workflow is None
