"""Messages follow from the log alone, once each, and not from what was before."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from application.event_store.schema import create_tables
from application.notifications.restores import hold
from application.process_managers import notifications
from tests.application.notifications.telling import Telling, telling
from tests.application.notifications.town import Kept
from tests.application.server_process import ServerProcess
from tests.support.patience import HANGS


async def ask(here: Telling) -> None:
    await here.process.ask((await here.process.start()).id)


async def test_what_was_asked_before_is_not_told(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        await process.ask((await process.start()).id)
        # As the tables are made for an older log.
        async with process.pool.connection() as connection:
            await connection.execute("TRUNCATE outbox_state")
    create_tables(log_url)
    async with telling(log_url) as here:
        await ask(here)
        await here.settled()
        assert len(here.channel.messages) == 2


async def test_a_log_that_is_followed_again_tells_nothing_again(log_url: str) -> None:
    channel = Kept()
    async with telling(log_url, channel) as here:
        await asyncio.gather(*(ask(here) for _ in range(10)))
        rows = await here.settled()
        await here.execute("UPDATE outbox_state SET position = 0")
    async with telling(log_url, channel) as there:
        assert await there.settled() == rows
    assert len(channel.messages) == 20


@pytest.mark.unsound
async def test_an_event_that_can_not_be_read_stops_no_other(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        broken = (await process.start()).id
        await process.ask(broken)
        process.damage(broken)
    async with telling(log_url) as here:
        await ask(here)
        await here.settled()
        assert {message.execution_id for message in here.channel.messages}.isdisjoint({broken})
        assert len(here.channel.messages) == 2


async def test_a_source_that_fails_stops_no_other_event(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with telling(log_url) as here:
        whole, failed = here.source.messages, list[object]()

        async def fails_once(event: object) -> object:
            if not failed:
                failed.append(event)
                raise ZeroDivisionError
            return await whole(event)  # type: ignore[arg-type]

        monkeypatch.setattr(here.source, "messages", fails_once)
        await ask(here)
        await ask(here)
        await here.settled()
        assert len(here.channel.messages) == 2


async def leave_waiting(log_url: str) -> None:
    """End a server while messages are on their way."""
    down = Kept(fails=lambda _: asyncio.Event().wait())
    async with telling(log_url, down) as here:
        await ask(here)
        async with asyncio.timeout(HANGS):
            while not (rows := await here.rows()) or not all(row["claimed_by"] for row in rows):
                await asyncio.sleep(0.01)
        for loop in here.delivery._loops:
            for task in loop._in_flight:
                task.cancel()


@pytest.mark.parametrize(
    ("found", "held"),
    [
        ("database = 'another/1'", True),
        ("timeline = 7, seen_at = clock_timestamp() - interval '1 hour'", True),
        # A standby took over: the leader before was there a moment ago.
        ("timeline = 7", False),
        ("seen_at = clock_timestamp() - interval '30 days'", False),
    ],
)
async def test_what_waited_in_a_backup_is_kept_back_after_its_restore(
    log_url: str, found: str, *, held: bool
) -> None:
    await leave_waiting(log_url)
    with psycopg.connect(log_url) as connection:
        connection.execute(f"UPDATE outbox_state SET {found}")
    async with telling(log_url) as there:
        rows = await there.settled()
        assert {row["status"] for row in rows} == ({"DEAD"} if held else {"SENT"})
        if held:
            assert "restore" in rows[0]["last_error"]
        await ask(there)
        await there.channel.until(2 if held else 4)


async def test_in_a_copy_within_one_cluster_nobody_is_told_what_waited(log_url: str) -> None:
    await leave_waiting(log_url)
    database = conninfo_to_dict(log_url)["dbname"]
    copy = f"{database}_copy"
    with psycopg.connect(log_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {}").format(
                Identifier(copy), Identifier(str(database))
            )
        )
        try:
            async with telling(make_conninfo(log_url, dbname=copy)) as there:
                assert {row["status"] for row in await there.settled()} == {"DEAD"}
        finally:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(copy)))


async def test_an_operator_can_keep_back_what_waits_by_hand(log_url: str) -> None:
    async with telling(log_url, Kept(fails=lambda _: 1 / 0)) as here:
        await ask(here)
        await here.settled()
    async with ServerProcess.open(log_url) as process, process.pool.connection() as connection:
        assert await hold(connection) == 2


async def test_a_message_that_the_database_refuses_stops_no_other(log_url: str) -> None:
    async with telling(log_url) as here:
        await here.execute("ALTER TABLE outbox_messages ADD CHECK (recipient <> 'ann')")
        await ask(here)
        await ask(here)
        rows = await here.settled()
        assert [row["recipient"] for row in rows] == ["bob", "bob"]


async def test_of_events_that_are_older_than_messages_are_kept_nobody_is_told(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "KEEP", timedelta(0))
    async with telling(log_url) as here:
        await ask(here)
        assert await here.settled() == []
