"""The writer's answers when the database does not respond are true."""

import asyncio
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psycopg

from application.command_handling.outcomes import Accepted, Refused, UnavailableError
from application.command_handling.unit_of_work import UnitOfWork
from application.event_store.recorder import lock_statement
from application.event_store.store import ExecutionEventStore
from domain.execution.commands import StartExecution
from domain.refusals import RefusalCode
from tests.application.server_process import ServerProcess, accepted, grant, locked, refused, step
from tests.domain.people import OLIVIA
from tests.support.patience import HANGS
from tests.support.proxy import Wire


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        [number] = connection.execute("SELECT count(*) FROM execution_events").fetchone() or (0,)
        return int(number)


async def test_a_commit_whose_answer_is_lost_is_found_in_the_log(
    log_url: str, tmp_path: Path
) -> None:
    with Wire.open(log_url, tmp_path) as wire:
        async with ServerProcess.open(wire.url) as process:
            execution = await process.start()
            approval = await process.ask(execution.id)
            wire.lose_replies_to = b"execution.approval-granted"
            outcome = await process.do(grant(approval))
            assert wire.lost == 1
            assert not outcome.repeated
            assert outcome.position == 4
            assert (await process.do(grant(approval))).position == 4
            assert count(log_url) == 4


async def test_a_connection_that_broke_unnoticed_fails_no_command(
    log_url: str, tmp_path: Path
) -> None:
    with Wire.open(log_url, tmp_path) as wire:
        async with ServerProcess.open(wire.url) as process:
            execution = await process.start()
            wire.cut()
            await process.do(step(execution.id, "after"))
            assert count(log_url) == 2


async def test_without_a_database_commands_are_unavailable_until_it_returns(
    log_url: str, tmp_path: Path
) -> None:
    with Wire.open(log_url, tmp_path) as wire:
        async with ServerProcess.open(wire.url) as process:
            execution = await process.start()
            wire.down = True
            wire.cut()
            async with asyncio.timeout(HANGS):
                [outcome] = await process.send(step(execution.id, "away"))
            assert isinstance(outcome, UnavailableError)
            wire.down = False
            async with asyncio.timeout(HANGS):
                accepted((await process.send(step(execution.id, "back")))[0])
            assert count(log_url) == 2


async def test_an_outcome_that_cannot_be_found_is_unknown_and_a_repeat_finds_it(
    log_url: str, tmp_path: Path
) -> None:
    with Wire.open(log_url, tmp_path) as wire:
        async with ServerProcess.open(wire.url) as process:
            execution = await process.start()
            wire.lose_replies_to = b"execution.step-completed"

            async def down_once_lost() -> None:
                while not wire.lost:
                    await asyncio.sleep(0)
                wire.down = True
                wire.cut()

            watching = asyncio.create_task(down_once_lost())
            # Whether the commit is looked up before the wire is down is a race that either side may
            # win; what must hold is that the answer is true.
            [outcome] = await process.send(step(execution.id, "lost"))
            await watching
            wire.down = False
            again = await process.do(step(execution.id, "lost"))
            assert again.repeated
            assert count(log_url) == 2
            if not isinstance(outcome, Accepted):
                refused(outcome, RefusalCode.OUTCOME_UNKNOWN)


async def test_a_caller_that_waits_too_long_is_answered(log_url: str) -> None:
    async with ServerProcess.open(log_url, time_limit=0.3) as process:
        execution = await process.start()
        with locked(log_url):
            taken = asyncio.create_task(process.send(step(execution.id, "taken")))
            await asyncio.sleep(0)
            async with asyncio.timeout(HANGS):
                while process.writer.depth:
                    await asyncio.sleep(0.001)
            [queued] = await process.send(step(execution.id, "queued"))
            [outcome] = await taken
        assert isinstance(queued, UnavailableError)
        refused(outcome, RefusalCode.OUTCOME_UNKNOWN)


async def test_a_process_stopped_with_the_lock_does_not_hold_it_for_long(log_url: str) -> None:
    """Its connection is ended by the time limit on idle transactions."""
    recorder = ExecutionEventStore(log_url, idle_in_transaction_timeout=1).log_recorder
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        stopped = UnitOfWork(recorder)
        await stopped.begin([execution.id], [], [])
        async with asyncio.timeout(HANGS):
            await process.do(step(execution.id, "waited"))
        await stopped.drop()


async def test_a_process_stopped_while_it_sends_does_not_hold_the_lock_for_long(
    log_url: str,
) -> None:
    """The server waits for the rest of a message, and calls that no idleness."""
    recorder = ExecutionEventStore(
        log_url, lock_timeout=1, idle_in_transaction_timeout=1
    ).log_recorder
    async with ServerProcess.open(log_url) as process:
        execution = await process.start()
        stopped = await recorder.connect()
        pipeline = stopped.pipeline()
        await pipeline.__aenter__()
        await stopped.execute("BEGIN")
        await (await stopped.execute(lock_statement())).fetchall()
        async with asyncio.timeout(HANGS):
            await process.do(step(execution.id, "waited"))
        await stopped.close()
        with suppress(psycopg.Error):
            await pipeline.__aexit__(None, None, None)


async def test_every_acknowledged_command_is_in_the_log_whatever_is_cut(
    log_url: str, tmp_path: Path
) -> None:
    with Wire.open(log_url, tmp_path) as wire:
        async with ServerProcess.open(wire.url) as process:
            commands = [
                StartExecution(by=OLIVIA, execution_id=uuid4(), workflow="w") for _ in range(300)
            ]
            answered = 0

            async def load() -> list[Accepted]:
                nonlocal answered
                done: list[Accepted] = []
                for command in commands[answered::]:
                    [outcome] = await process.send(command)
                    answered += 1
                    if isinstance(outcome, Accepted):
                        done.append(outcome)
                    else:
                        assert isinstance(outcome, UnavailableError | Refused)
                return done

            async def disturb() -> None:
                for goal in range(20, 300, 40):
                    while answered < goal:
                        await asyncio.sleep(0.001)
                    if goal % 80 == 20:
                        wire.cut()
                    else:
                        # As parameters, which are there also once the statements are prepared.
                        wire.lose_replies_to = b"execution.started"

            done, _ = await asyncio.gather(load(), disturb())
            assert wire.lost >= 3
            assert len({outcome.execution.id for outcome in done}) == len(done) > 250
            for outcome in done:
                events = await process.reader.history(outcome.execution.id)
                assert [event.position for event in events] == [outcome.position]
