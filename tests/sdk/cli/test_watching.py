"""Lists that are printed again when something changes, until Ctrl-C."""

import asyncio
import os
import pty
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from tests.sdk.cli.test_audit_commands import ask, inside
from tests.sdk.cli.test_cli import NO_ONE
from tests.sdk.people import People, Server
from tests.support.patience import HANGS

# A process that was started in the background of a shell ignores SIGINT, and so would this one.
MAIN = """
import signal
from placet.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""


@asynccontextmanager
async def watching(server: Server, who: str, *arguments: str) -> AsyncIterator[Process]:
    """Run the command with its output in a pipe; killed after the block if it still runs."""
    at = ("--url", server.url, "--token", server.tokens[who])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MAIN, *at, *arguments, "--watch"), stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(HANGS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def shown(process: Process, words: str) -> str:
    """Wait for a line with these words, and return what was printed up to it."""
    assert process.stdout is not None
    printed = ""
    while line := (await process.stdout.readline()).decode():
        printed += line
        if words in line:
            return printed
    assert process.stderr is not None
    raise AssertionError(printed + (await process.stderr.read()).decode())


async def test_an_inbox_in_a_pipe_is_printed_again_only_when_it_changes(
    people: People, server: Server
) -> None:
    workflow = f"watch-{uuid4()}"
    [first] = await ask(people, workflow, "One")
    approver = await people.get("approver-a")
    async with watching(server, "approver-a", "approvals", "--workflow", workflow) as process:
        assert "One" in await shown(process, "1 approval")
        await ask(people, "another-workflow", "Of another workflow")
        await ask(people, workflow, "Two")
        printed = await shown(process, "2 approvals")
        assert "Two" in printed
        assert "1 approval\n" not in printed
        await approver.grant(first)
        assert "One" not in await shown(process, "1 approval")
        process.send_signal(signal.SIGINT)
        output, errors = await process.communicate()
    assert (process.returncode, output, errors) == (130, b"", b"")


async def test_executions_are_printed_again_as_they_go_on(people: People, server: Server) -> None:
    workflow = f"watch-{uuid4()}"
    id_ = await people.start(workflow)
    operator = await people.get("operator")
    wanted = ("executions", "--workflow", workflow, "--json")
    async with watching(server, "operator", *wanted) as process:
        await shown(process, '"state":"RUNNING"')
        await operator.cancel(id_, "not needed")
        assert id_ in await shown(process, '"state":"CANCELLED"')


async def test_what_may_not_be_followed_is_said_in_one_line(people: People, server: Server) -> None:
    workflow = f"watch-{uuid4()}"
    await people.start(workflow)
    async with watching(server, "approver-a", "executions", "--workflow", workflow) as process:
        _, errors = await process.communicate()
    assert process.returncode == 1
    said = errors.decode().splitlines()
    assert said[-1].startswith("placet: ")
    assert "following events needs the role" in said[-1]


def test_the_past_is_not_watched() -> None:
    told = inside("--url", NO_ONE, "--token", "t", "approvals", "--at", "now", "--watch")
    assert told.returncode == 2
    assert "leave out --at" in told.stderr


async def test_a_terminal_shows_the_list_in_place(people: People, server: Server) -> None:
    workflow = f"watch-{uuid4()}"
    await ask(people, workflow, "One")
    at = ("--url", server.url, "--token", server.tokens["approver-a"])
    terminal, inner = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MAIN, *at, "approvals", "--workflow", workflow, "--watch"),
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "60", "LINES": "20"},
    )
    os.close(inner)
    printed = ""
    try:
        async with asyncio.timeout(HANGS):
            while "1 approval" not in printed:
                printed += (await asyncio.to_thread(os.read, terminal, 65_536)).decode()
            await ask(people, workflow, "Two")
            while "2 approvals" not in printed:
                printed += (await asyncio.to_thread(os.read, terminal, 65_536)).decode()
    finally:
        process.kill()
        await process.wait()
        os.close(terminal)
    last = printed[: printed.index("2 approvals")].rpartition("\x1b[2J")[2]
    assert "One" in last
    assert "Two" in last
