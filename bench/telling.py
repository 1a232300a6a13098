"""Telling: what it costs a decision, how soon a mail is handed over, and how fast an outbox drains.

The cost is paired: two servers decide in turns, one of which tells people. Mails go to a real SMTP
server in another process. What drains are messages to people by a channel that takes each at once,
and mails.
"""

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from typing import Any
from uuid import uuid4

import psycopg
from aiosmtpd.smtp import SMTP, Envelope, Session

from api.container import Container, serve
from api.database import outbox_pool
from api.settings import Settings
from application.command_handling.outcomes import Accepted
from application.directory import Directory, KnownPerson
from application.event_store.reader import Reader
from application.event_store.recent_events import RecentEvents
from application.notifications.briefing import Briefing
from application.notifications.channel import Channel
from application.notifications.delivery import Delivery
from application.notifications.directory_people import DirectoryPeople
from application.notifications.message import Message
from application.notifications.outbox_table import OutboxTable
from application.notifications.preferences import PreferencesTable
from bench.log_load import OPERATOR, ask, request, send, start
from bench.measure import Bound, Result, median, milliseconds, percentile
from bench.temporary_database import database
from domain.approvals.commands import Decide
from domain.approvals.state import Verdict
from domain.directory.state import PersonSource
from domain.execution.commands import Command
from domain.values import Principal, Role

PAIRS = 1_000
LOADED, AT_ONCE, ROUNDS = 2_000, 16, 5
MAILS = 300
WAITING = 100_000
A_GROUP = 10
APPROVALS = 2_000
PERCENT = 2.0
MILLISECONDS = 100.0
A_SECOND = 500.0
HANGS = 600.0

ADMIN = Principal(id="bench", name="Bench", roles=frozenset({Role.ADMIN}))
ANN = Principal(
    id="ann",
    name="Ann",
    roles=frozenset({Role.APPROVER}),
    groups=frozenset({"finance", "legal", "managers", "security"}),
)


async def run(
    url: str,
    *,
    pairs: int = PAIRS,
    loaded: int = LOADED,
    mails: int = MAILS,
    waiting: int = WAITING,
) -> Result:
    """Measure."""
    result = Result("Telling")
    with mailbox() as box, database(url, "untold") as other:
        async with server(url, box) as told, server(other, None) as untold:
            await _people(told)
            await _cost(url, told, untold, result, pairs)
            await _cost_under_load(url, told, untold, result, loaded)
            await _time_to_mail(url, told, result, box, mails)
        await _drain_mails(url, result, box, waiting // 20)
    await _drain(url, result, waiting)
    return result


# The SMTP server.


class Mailbox:
    """An SMTP server in another process, which takes each mail at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.port: int = connection.recv()

    def arrived(self) -> list[tuple[str, float]]:
        """Return the thread and the time of each mail since the last call."""
        self._connection.send("arrived")
        found: list[tuple[str, float]] = self._connection.recv()
        return found


class _Handler:
    def __init__(self) -> None:
        self.arrived: list[tuple[str, float]] = []

    async def handle_DATA(  # noqa: N802 - the library calls it so
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        del server, session
        content = envelope.content
        assert isinstance(content, bytes)
        thread = content.partition(b"References: <")[2].partition(b"@")[0]
        self.arrived.append((thread.decode(), time.time()))
        return "250 taken"


def _receive(connection: Connection) -> None:
    async def main() -> None:
        loop, handler = asyncio.get_running_loop(), _Handler()
        made = await loop.create_server(lambda: SMTP(handler, loop=loop), "127.0.0.1", 0)
        connection.send(made.sockets[0].getsockname()[1])
        while True:
            while not connection.poll():  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.001)
            if connection.recv() == "end":
                return
            connection.send(handler.arrived)
            handler.arrived = []

    asyncio.run(main())


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Run an SMTP server in another process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_receive, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Mailbox(ours)
        ours.send("end")
        process.join(10)
    finally:
        process.kill()


# The servers.


@asynccontextmanager
async def server(url: str, box: Mailbox | None) -> AsyncIterator[Container]:
    """Run a server in this process, which tells people by mail if there is a mailbox."""
    options: dict[str, Any] = {}
    if box is not None:
        options = {
            "smtp_url": f"smtp://127.0.0.1:{box.port}",
            "mail_from": "Placet <placet@example.com>",
            "public_url": "https://placet.example.com",
        }
    settings = Settings.read(database_url=url, mode="production", **options)
    async with serve(settings, url, {}) as running:
        yield running


async def _people(running: Container) -> None:
    """Record the people who are told: in each group some, and who starts the executions."""
    for number in range(A_GROUP):
        for group in ANN.groups:
            await _record(running, f"{group}-{number}", frozenset({group}), Role.APPROVER)
    await _record(running, ANN.id, ANN.groups, Role.APPROVER)
    await _record(running, OPERATOR.id, frozenset(), Role.OPERATOR)


async def _record(running: Container, id_: str, groups: frozenset[str], role: Role) -> None:
    person = KnownPerson(
        id=id_,
        name=id_.title(),
        emails=(f"{id_}@example.com",),
        groups=groups,
        roles=frozenset({role}),
        source=PersonSource.ADMIN,
    )
    assert isinstance(await running.services.directory.record(ADMIN, person), Accepted)


async def _asked(running: Container, count: int) -> list[Command]:
    """Ask for approvals. Returns the decisions that grant them."""
    writer = running.services.writer
    ids = [uuid4() for _ in range(count)]
    await send(writer, (start(number, id_) for number, id_ in enumerate(ids)))
    decisions: list[Command] = []
    for number, id_ in enumerate(ids):
        [outcome] = await writer.handle([request(ask(number, id_))])
        assert isinstance(outcome, Accepted), outcome
        digest = outcome.execution.approvals[1].digest
        decisions.append(
            Decide(by=ANN, execution_id=id_, ordinal=1, verdict=Verdict.GRANTED, digest=digest)
        )
    return decisions


async def _timed(running: Container, command: Command) -> float:
    begin = time.perf_counter()
    [outcome] = await running.services.writer.handle([request(command)])
    assert isinstance(outcome, Accepted), outcome
    return time.perf_counter() - begin


async def _settled(url: str) -> None:
    """Wait until all messages have been sent."""
    statement = """
        SELECT NOT EXISTS (SELECT FROM outbox_messages WHERE status = 'WAITING')
            AND position >= (SELECT coalesce(max(notification_id), 0) FROM execution_events)
        FROM outbox_state
    """
    async with asyncio.timeout(HANGS):
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            # It is in the database.
            while await (await connection.execute(statement)).fetchone() != (True,):  # noqa: ASYNC110
                await asyncio.sleep(0.01)


# What is measured.


async def _cost(url: str, told: Container, untold: Container, result: Result, pairs: int) -> None:
    """Decide in turns, with a pause in which the mails of the last decision are sent."""
    decisions = list(zip(await _asked(told, pairs), await _asked(untold, pairs), strict=True))
    await _settled(url)
    with_mail: list[float] = []
    without: list[float] = []
    for number, (one, other) in enumerate(decisions):
        turns = [(told, one, with_mail), (untold, other, without)]
        for running, command, times in turns if number % 2 else turns[::-1]:
            times.append(await _timed(running, command))
            await asyncio.sleep(0.02)
    await _settled(url)
    result.add("a decision of which people are told", **milliseconds(with_mail))
    result.add("a decision of which nobody is told", **milliseconds(without))
    _bound(result, "one decision after another", median(with_mail), median(without))


async def _cost_under_load(
    url: str, told: Container, untold: Container, result: Result, count: int
) -> None:
    """Let several people decide at once, each the next thing as soon as it can."""
    with_mail: list[float] = []
    without: list[float] = []
    for number in range(ROUNDS):
        turns = [(told, with_mail), (untold, without)]
        for running, times in turns if number % 2 else turns[::-1]:
            decisions = iter(await _asked(running, count // ROUNDS))
            await _settled(url)

            async def decide(
                running: Container = running,
                times: list[float] = times,
                left: Iterator[Command] = decisions,
            ) -> None:
                for command in left:
                    seconds = await _timed(running, command)
                    times.append(seconds)

            await asyncio.gather(*(decide() for _ in range(AT_ONCE)))
            await _settled(url)
    result.add(f"the same, {AT_ONCE} at once, people are told", **milliseconds(with_mail))
    result.add(f"the same, {AT_ONCE} at once, nobody is told", **milliseconds(without))
    _bound(result, f"{AT_ONCE} deciders at once", median(with_mail), median(without))


def _bound(result: Result, what: str, told: float, untold: float) -> None:
    percent = (told / untold - 1) * 100
    words = f"percent that telling adds to a decision, p50, {what}"
    result.bounds.append(Bound(words, percent, PERCENT, at_least=False))


async def _time_to_mail(
    url: str, running: Container, result: Result, box: Mailbox, count: int
) -> None:
    """Ask one after another on an idle server, and see when the first mail of each arrives."""
    writer, asked = running.services.writer, dict[str, float]()
    box.arrived()
    for number in range(count):
        id_ = uuid4()
        await send(writer, [start(number, id_)])
        asked[f"{id_}.1"] = time.time()
        await send(writer, [ask(number, id_)])
        await _settled(url)
    first: dict[str, float] = {}
    for thread, at in box.arrived():
        first.setdefault(thread, at)
    seconds = [first[thread] - at for thread, at in asked.items()]
    result.add("from the request to the first mail at the SMTP server", **milliseconds(seconds))
    words = "milliseconds from a request to the mail at the SMTP server, p50"
    half = percentile(seconds, 0.5) * 1000
    result.bounds.append(Bound(words, half, MILLISECONDS, at_least=False))


async def _drain_mails(url: str, result: Result, box: Mailbox, count: int) -> None:
    await _fill(url, "email", count)
    box.arrived()
    begin = time.perf_counter()
    async with server(url, box):
        await _settled(url)
    seconds = time.perf_counter() - begin
    result.add(f"an outbox of {count} mails", **{"seconds": seconds, "a second": count / seconds})


class _Fast:
    """A channel that takes each message at once."""

    name = "fast"
    to_people = True
    concurrency = 16
    per_recipient = 16
    timeout = 30.0

    def reaches(self, _person: Any) -> bool:
        return True

    async def deliver(self, message: Message) -> str | None:
        assert message.subject is not None
        return None

    async def close(self) -> None:
        return


class _Leader:
    leads = True
    term = 1

    async def elected(self) -> None:
        return


async def _drain(url: str, result: Result, count: int) -> None:
    """Deliver an outbox to a receiver that takes each message at once."""
    await _fill(url, "fast", count)
    pool = outbox_pool(url)
    await pool.open()
    table, preferences = OutboxTable(pool), PreferencesTable(pool)
    reader = Reader(RecentEvents(), pool)
    channels: list[Channel] = [_Fast()]
    briefing = Briefing(reader, DirectoryPeople(Directory(pool)), preferences, table)
    delivery = Delivery(table, briefing, channels, _Leader())
    begin = time.perf_counter()
    await delivery.start()
    await _settled(url)
    seconds = time.perf_counter() - begin
    await delivery.close()
    await pool.close()
    result.add(
        f"an outbox of {count} messages to a fast receiver",
        **{"seconds": seconds, "a second": count / seconds},
    )
    words = "messages a second from a full outbox to a fast receiver"
    result.bounds.append(Bound(words, count / seconds, A_SECOND))


async def _fill(url: str, channel: str, count: int) -> None:
    """Put messages into the outbox, each about an approval that its recipient may decide."""
    async with server(url, None) as running:
        number = min(APPROVALS, count)
        ids = [uuid4() for _ in range(number)]
        await send(running.services.writer, (start(n, id_) for n, id_ in enumerate(ids)))
        await send(running.services.writer, (ask(n, id_) for n, id_ in enumerate(ids)))
        await _settled(url)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(_MESSAGES, {"ids": ids, "channel": channel, "count": count})


# The groups of approvals follow their numbers, as in bench.log_load.
_MESSAGES = """
    INSERT INTO outbox_messages (
        id, kind, recipient, channel, execution_id, ordinal, version, position, due_at
    )
    SELECT gen_random_uuid(), 'OPENED',
        (ARRAY['finance', 'legal', 'managers', 'security'])[(n - 1) %% 4 + 1]
            || '-' || (i / array_length(ids, 1)) %% 10,
        %(channel)s, ids[n], 1, 2, i, clock_timestamp()
    FROM (SELECT %(ids)s::uuid[] AS ids) AS given,
        generate_series(0, %(count)s - 1) AS i,
        LATERAL (SELECT i %% array_length(ids, 1) + 1 AS n) AS numbered
"""
