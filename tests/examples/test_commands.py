"""The examples, run as their docstrings say: as commands beside a server."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from examples import deployment_gate, long_wait, travel_permits
from placet import Approval, ExecutionState
from tests.examples.refunds import asked
from tests.sdk.people import People, Server
from tests.support.patience import HANGS

WAITS = "waits for executions of"


@asynccontextmanager
async def command(server: Server, example: str) -> AsyncIterator[Process]:
    """Run an example with the token of an engine, killed after the block if it still runs."""
    env = {**os.environ, "PLACET_URL": server.url, "PLACET_TOKEN": server.tokens["engine"]}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"examples.{example}"), stdout=PIPE, stderr=PIPE, env=env
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def end(process: Process) -> list[str]:
    """Wait until it has ended well, without a complaint, and give the lines that it printed."""
    async with asyncio.timeout(HANGS):
        printed, errors = await process.communicate()
    # The engine says there what it waits for.
    complaints = [line for line in errors.decode().splitlines() if WAITS not in line]
    assert (process.returncode, complaints) == (0, [])
    return printed.decode().splitlines()


async def begin(people: People, workflow: str, given: object, queue: str) -> str:
    operator = await people.get("operator")
    accepted = await operator.start(workflow, given, queue=queue)
    assert accepted.execution is not None
    return accepted.execution.id


async def grant(people: People, execution_id: str, *approvers: str) -> Approval:
    [approval] = await people.pending(execution_id)
    for name in approvers:
        await (await people.get(name)).grant(approval)
    return approval


async def completed(people: People, execution_id: str) -> Any:
    ended = await people.ended(execution_id)
    assert ended.state is ExecutionState.COMPLETED, ended.error
    return ended.result


async def test_a_deployment_is_rolled_out_when_two_have_approved(
    people: People, server: Server
) -> None:
    async with command(server, "deployment_gate") as process:
        release = {"service": "shop", "version": "2"}
        execution_id = await begin(people, "deploy", release, deployment_gate.QUEUE)
        approval = await grant(people, execution_id, "approver-a", "approver-b")
        assert approval.title == "Deploy shop 2"
        assert (await completed(people, execution_id))["deployed"] is True
        process.terminate()
        assert await end(process) == []


async def test_a_contract_is_signed_when_one_has_approved(people: People, server: Server) -> None:
    async with command(server, "long_wait") as process:
        terms = {"with": "a supplier"}
        execution_id = await begin(people, "contract", terms, long_wait.QUEUE)
        approval = await grant(people, execution_id, "approver-c")
        assert approval.title == "Contract with a supplier"
        assert await completed(people, execution_id) == {"signed": True, **terms}
        process.terminate()
        assert await end(process) == []


async def test_a_permit_is_decided_by_all_its_roles_and_closed(
    people: People, server: Server
) -> None:
    operator = await people.get("operator")
    async with command(server, "travel_permits") as process:
        execution_id = await begin(people, "travel_permit", "permit 4711", travel_permits.QUEUE)
        submitted = {"what": "submitted", "document": "Permit", "roles": ["finance", "legal"]}
        for happened in (submitted, {"what": "closed"}):
            await operator.signal(execution_id, travel_permits.HAPPENED, happened)
        approval = await grant(people, execution_id, "approver-a", "approver-c")
        assert approval.payload == {"permit": "permit 4711", "document": "Permit"}
        assert await completed(people, execution_id) == {"Permit": "granted"}
        process.terminate()
        assert await end(process) == []


async def test_an_agent_refunds_what_was_approved_and_is_told_of_a_rejection(
    people: People, server: Server
) -> None:
    approver = await people.get("approver-a")

    async with command(server, "agent_tools") as process:
        await approver.grant(await asked(approver, 120))
        await approver.reject(await asked(approver, 90_000), comment="far too much")
        paid, refunded, refused = await end(process)
    assert (paid, refunded) == ("c-17 has paid 120 euros", "refunded 120 euros to c-17")
    assert "far too much" in refused
