"""Each message is delivered at least once, however receivers and servers fail."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from msgspec.structs import replace

from application.notifications import backoff, delivery
from application.notifications.channel import DeliveryFailed, DeliverySkipped
from application.notifications.message import Message, MessageKind, NewMessage
from application.notifications.outbox_query import OutboxQuery
from application.notifications.outbox_table import OutboxTable
from application.notifications.preferences import MessageTiming, Preferences
from domain.approvals.state import Approval
from tests.application.notifications.telling import Telling, telling
from tests.application.notifications.town import Kept, Town, everybody, failing
from tests.application.server_process import grant
from tests.domain.people import ANN, BOB
from tests.support.patience import HANGS

LEAD = "hashtextextended(current_schema() || '/placet/leader', 0)"
TAKE_THE_LEAD = f"SELECT pg_advisory_lock({LEAD})"
END_THE_LEADER = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'placet-leader' AND datname = current_database()
"""
DUE_NOW = "UPDATE outbox_messages SET due_at = clock_timestamp() WHERE status = 'WAITING'"
PAUSE = timedelta(minutes=10)


@pytest.fixture(autouse=True)
def long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a test say when there is another try, however long it takes itself."""
    monkeypatch.setattr(backoff, "FIRST", PAUSE.total_seconds())


async def ask(here: Telling, **rest: Any) -> Approval:
    return await here.process.ask((await here.process.start()).id, **rest)


def statuses(rows: list[dict[str, Any]]) -> list[str]:
    return [row["status"] for row in rows]


async def to_programs(here: Telling, *recipients: str, channel: str = "kept") -> None:
    """Put messages to programs into the outbox, one for each recipient."""
    messages = [
        NewMessage(
            kind=MessageKind.EVENT,
            recipient=recipient,
            channel=channel,
            execution_id=uuid4(),
            version=1,
            position=0,
        )
        for recipient in recipients
    ]
    async with here.process.pool.connection() as connection:
        await OutboxTable.add(connection, messages)
    here.delivery.wake()


async def test_a_message_that_failed_is_tried_again_under_the_same_id(log_url: str) -> None:
    channel = Kept(fails=failing(1))
    async with telling(log_url, channel) as here:
        await ask(here)
        rows = await here.settled()
        assert statuses(rows) == ["WAITING", "WAITING"]
        assert {row["last_error"] for row in rows} == {"broken"}
        waits = [row["due_at"] - datetime.now(UTC) for row in rows]
        assert all(timedelta(seconds=0) < wait <= PAUSE for wait in waits)

        await here.execute(DUE_NOW)
        here.delivery.wake()
        await channel.until(2)
        rows = await here.settled()
        assert statuses(rows) == ["SENT", "SENT"]
        assert {row["id"] for row in rows} == set(channel.ids)
        assert {row["channel_reference"] for row in rows} == {
            f"reference of {id_}" for id_ in channel.ids
        }
        assert {row["last_error"] for row in rows} == {None}


async def test_after_three_days_or_a_permanent_failure_it_is_a_dead_letter(log_url: str) -> None:
    channel = Kept(fails=failing(99))
    async with telling(log_url, channel) as here:
        await ask(here)
        [one, _] = await here.settled()
        assert one["give_up_at"] - one["created_at"] >= timedelta(days=3)
        await here.execute("UPDATE outbox_messages SET give_up_at = clock_timestamp()")
        await here.execute(DUE_NOW)
        here.delivery.wake()
        rows = await here.settled()
        assert statuses(rows) == ["DEAD", "DEAD"]
        assert rows[0]["ended_at"] is not None

        channel.fails = failing(99, permanent=True)
        await ask(here)
        assert statuses(await here.settled()) == ["DEAD"] * 4


async def test_a_receiver_that_names_a_time_is_not_tried_before(log_url: str) -> None:
    channel = Kept(fails=failing(1, retry_after=7200))
    async with telling(log_url, channel) as here:
        await ask(here)
        for row in await here.settled():
            assert row["due_at"] - row["created_at"] > timedelta(seconds=7199)


async def test_what_was_resolved_or_decided_meanwhile_is_not_announced(log_url: str) -> None:
    channel = Kept(fails=failing(1))
    async with telling(log_url, channel) as here:
        approval = await ask(here)
        await here.settled()
        await here.process.do(grant(approval))
        await here.execute(DUE_NOW)
        here.delivery.wake()
        rows = await here.settled()
        opened = [row for row in rows if row["kind"] == "OPENED"]
        assert statuses(opened) == ["SKIPPED", "SKIPPED"]
        assert opened[0]["last_error"] == "the approval is resolved"
    assert "OPENED" not in [kind for _, kind in channel.told]


async def test_nobody_is_told_of_what_they_may_not_see_any_more(log_url: str) -> None:
    channel, town = Kept(fails=failing(1)), everybody()
    async with telling(log_url, channel, town=town) as here:
        await ask(here)
        await here.settled()
        town.known["ann"] = replace(town.known["ann"], active=False)
        left = replace(BOB, groups=frozenset())
        town.known["bob"] = replace(town.known["bob"], principal=left)
        await here.execute(DUE_NOW)
        here.delivery.wake()
        ann, bob = await here.settled()
        assert (ann["status"], ann["last_error"]) == ("SKIPPED", "the person was deactivated")
        assert (bob["status"], bob["last_error"]) == (
            "SKIPPED",
            "the person may not see the approval",
        )
        assert channel.messages == []


async def test_a_channel_that_hangs_holds_up_no_other_and_is_given_up_in_time(
    log_url: str,
) -> None:
    never = asyncio.Event()
    hanging = Kept("hanging", timeout=0.2, fails=lambda _: never.wait())
    quick = Kept("quick")
    async with telling(log_url, hanging, quick) as here:
        await asyncio.gather(*(ask(here) for _ in range(20)))
        await quick.until(40)
        rows = await here.settled()
        errors = {row["last_error"] for row in rows if row["channel"] == "hanging"}
        assert errors == {"no answer within 0.2 s"}


async def test_a_recipient_that_hangs_holds_up_no_other(log_url: str) -> None:
    never = asyncio.Event()

    async def hang(message: Message) -> None:
        if message.recipient == "slow":
            await never.wait()

    channel = Kept(to_people=False, concurrency=4, per_recipient=2, fails=hang)
    async with telling(log_url, channel) as here:
        await to_programs(here, *["slow"] * 200, *[f"program {n}" for n in range(50)])
        await channel.until(50)
        assert len({message.recipient for message in channel.messages}) == 50
        never.set()
        await channel.until(250)


async def test_while_a_channel_reaches_nobody_only_one_message_tries_it(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "DOWN_PAUSES", (0.1, 0.2))
    down, tries = [True], []

    def fail(message: Message) -> None:
        tries.append(message.id)
        if down[0]:
            raise DeliveryFailed("no server", channel_down=True)

    channel = Kept(to_people=False, concurrency=1, per_recipient=10, fails=fail)
    async with telling(log_url, channel) as here:
        await to_programs(here, *[f"program {n}" for n in range(100)])
        async with asyncio.timeout(HANGS):
            while len(tries) < 5:
                await asyncio.sleep(0.01)
        # Eight were claimed together, and one of them tried. Then others tried, one after another.
        assert len({row["id"] for row in await here.rows() if row["tries"]}) <= 6
        down[0] = False
        await channel.until(100 - len(set(tries)))


async def test_after_another_process_led_for_a_moment_no_channel_waits_for_one_that_is_down(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "DOWN_PAUSES", (HANGS * 2, HANGS * 2))
    monkeypatch.setattr(delivery, "MAX_PAUSE", 0.05)
    down, quick = Kept("down", fails=failing(99, channel_down=True)), Kept("quick")
    async with telling(log_url, down, quick, town=Town(ANN)) as here:
        await ask(here)
        await quick.until(1)
        election, term = here.process.election, here.process.election.term
        async with await psycopg.AsyncConnection.connect(log_url, autocommit=True) as other:
            # It waits for the lock of the leader, so it gets it as soon as that one ends.
            taken = asyncio.create_task(other.execute(TAKE_THE_LEAD))
            async with asyncio.timeout(HANGS):
                while election.leads or not taken.done():
                    await here.execute(END_THE_LEADER)
                    await asyncio.sleep(0.01)
            # So long that a channel that waits for messages has looked who leads.
            await asyncio.sleep(0.2)
        async with asyncio.timeout(HANGS):
            while election.term == term:
                await asyncio.sleep(0.01)
        await ask(here)
        await quick.until(2)


async def test_what_is_recorded_of_a_failure_has_no_secret_of_a_url_in_it(log_url: str) -> None:
    def fail(_: Message) -> None:
        raise DeliveryFailed("not taken: https://u:pass@hooks.example/in?token=abc", permanent=True)

    async with telling(log_url, Kept(to_people=False, fails=fail)) as here:
        await to_programs(here, "program")
        [row] = await here.settled()
        assert row["last_error"] == "not taken: https://***@hooks.example/in?***"


async def test_a_message_that_the_channel_skips_is_recorded_with_the_reason(log_url: str) -> None:
    def skip(_: Message) -> None:
        raise DeliverySkipped("no such room")

    async with telling(log_url, Kept(fails=skip)) as here:
        await ask(here)
        rows = await here.settled()
        assert [(row["status"], row["last_error"]) for row in rows] == [
            ("SKIPPED", "no such room")
        ] * 2


async def test_what_a_killed_server_was_sending_the_next_one_sends_under_the_same_id(
    log_url: str,
) -> None:
    never = asyncio.Event()
    first = Kept(fails=lambda _: never.wait())
    async with telling(log_url, first) as here:
        await ask(here)
        async with asyncio.timeout(HANGS):
            while len([r for r in await here.rows() if r["claimed_by"]]) < 2:
                await asyncio.sleep(0.01)
        rows = await here.rows()
        # As a kill leaves it: the claim stays, and no outcome comes.
        for loop in here.delivery._loops:
            for task in loop._in_flight:
                task.cancel()
    second = Kept()
    async with telling(log_url, second) as there:
        await second.until(2)
        assert {row["id"] for row in rows} == set(second.ids)
        assert [message.tries for message in second.messages] == [2, 2]
        assert statuses(await there.settled()) == ["SENT", "SENT"]


async def test_quiet_hours_are_waited_for_and_a_digest_gathers_a_day(log_url: str) -> None:
    channel = Kept()
    async with telling(log_url, channel) as here:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        until = hour + timedelta(hours=2)
        quiet = Preferences(
            quiet_from=f"{hour - timedelta(hours=1):%H:%M}", quiet_until=f"{until:%H:%M}"
        )
        daily = Preferences(channels={"kept": MessageTiming.DIGEST})
        await here.preferences.set("ann", quiet)
        await here.preferences.set("bob", daily)
        first, second = await ask(here), await ask(here, key="hotel")
        ann, bob, *_ = rows = await here.settled()
        assert channel.messages == []
        assert ann["due_at"] == until
        assert bob["due_at"].strftime("%H:%M") == "08:00"
        digests = [row for row in rows if row["kind"] == "DIGEST"]
        assert len(digests) == 1

        # Who asks to be told earlier after all is told when the message is due.
        await here.execute(DUE_NOW)
        here.delivery.wake()
        await channel.until(1)
        [digest] = channel.messages
        assert (digest.kind, digest.recipient) == (MessageKind.DIGEST, "bob")
        assert [item.execution_id for item in digest.items] == [
            first.id.execution_id,
            second.id.execution_id,
        ]
        assert digest.items[0].subject is not None
        rows = await here.settled()
        assert {(row["recipient"], row["status"]) for row in rows} == {
            ("ann", "WAITING"),
            ("bob", "SENT"),
        }
        # It is quiet for Ann, so this was no try.
        assert {row["tries"] for row in rows if row["recipient"] == "ann"} == {0}


async def test_a_digest_of_what_is_decided_by_then_is_not_sent(log_url: str) -> None:
    channel, town = Kept(fails=failing(1)), Town(ANN)
    async with telling(log_url, channel, town=town) as here:
        await here.preferences.set("ann", Preferences(channels={"kept": MessageTiming.DIGEST}))
        first, second = await ask(here), await ask(here)
        await here.settled()
        await here.process.do(grant(first, BOB))
        await here.execute(DUE_NOW)
        here.delivery.wake()
        await here.settled()
        # The digest failed once. What is in it waits with it.
        await here.process.do(grant(second, BOB))
        await here.execute(DUE_NOW)
        here.delivery.wake()
        rows = await here.settled()
        assert statuses(rows) == ["SKIPPED"] * 3
        assert channel.messages == []


async def test_who_switches_a_channel_off_is_not_told_by_it(log_url: str) -> None:
    mail, chat = Kept("mail", fails=failing(1)), Kept("chat")
    async with telling(log_url, mail, chat, town=Town(ANN)) as here:
        await here.preferences.set("ann", Preferences(channels={"chat": MessageTiming.NEVER}))
        await ask(here)
        [row] = await here.settled()
        assert row["channel"] == "mail"
        await here.preferences.set("ann", Preferences(channels={"mail": MessageTiming.NEVER}))
        await here.execute(DUE_NOW)
        here.delivery.wake()
        [row] = await here.settled()
        assert row["status"] == "SKIPPED"
        assert row["last_error"] == "the person does not want to be told by mail"


async def test_a_dead_digest_is_sent_again_with_what_was_in_it(log_url: str) -> None:
    channel = Kept(fails=failing(1, permanent=True))
    async with telling(log_url, channel, town=Town(ANN)) as here:
        await here.preferences.set("ann", Preferences(channels={"kept": MessageTiming.DIGEST}))
        await ask(here)
        await here.settled()
        await here.execute(DUE_NOW)
        here.delivery.wake()
        async with asyncio.timeout(HANGS):
            while statuses(rows := await here.rows()) != ["DEAD", "DEAD"]:
                await asyncio.sleep(0.01)
        [digest] = [row["id"] for row in rows if row["kind"] == "DIGEST"]
        channel.fails = lambda _: None
        outbox = OutboxQuery(here.process.pool, here.process.pool)
        assert await outbox.resend([digest]) == 2
        await channel.until(1)
        assert channel.told == [("ann", "OPENED")]


async def test_preferences_that_a_newer_server_wrote_stop_nobody(log_url: str) -> None:
    async with telling(log_url, town=Town(ANN)) as here:
        await here.execute(
            "INSERT INTO notification_preferences VALUES (%s, %s)",
            "ann",
            '{"channels": {"kept": "MOON"}}',
        )
        await ask(here)
        await here.channel.until(1)
