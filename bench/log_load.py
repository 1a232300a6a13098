"""Fills a log through a writer in this process."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from psycopg.conninfo import conninfo_to_dict

from api.migration import migrate
from application.command_handling.outcomes import Accepted
from application.command_handling.requests import Request
from application.command_handling.writer import Writer
from application.event_store.recent_events import RecentEvents
from application.event_store.store import ExecutionEventStore
from domain.approvals.commands import (
    RequestApproval,
)
from domain.approvals.policy import Policy, Requirement
from domain.execution.commands import (
    Command,
    CompleteExecution,
    RecordStep,
    StartExecution,
)
from domain.values import Label, Principal, Role

OPERATOR = Principal(id="operator", name="operator", roles=frozenset({Role.OPERATOR}))
ENGINE = Principal(id="engine", name="engine", roles=frozenset({Role.ENGINE}))
GROUPS = ("finance", "legal", "managers", "security")
AT_ONCE = 256


@asynccontextmanager
async def writer(url: str) -> AsyncIterator[Writer]:
    """Run a writer on a database. Missing tables are created."""
    await asyncio.to_thread(migrate, url)
    log = ExecutionEventStore(url)
    running = Writer(log, RecentEvents(), queue_limit=10 * AT_ONCE)
    running.start()
    try:
        yield running
    finally:
        await running.close()
        log.close()


def library_settings(url: str) -> dict[str, str]:
    """Return the ``eventsourcing`` library's own settings for a database."""
    fields = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(fields["dbname"]),
        "POSTGRES_HOST": str(fields["host"]),
        "POSTGRES_PORT": str(fields.get("port", 5432)),
        "POSTGRES_USER": str(fields["user"]),
        "POSTGRES_PASSWORD": str(fields.get("password", "")),
    }


def request(command: Command) -> Request:
    """Return the command an id."""
    return Request(command=command, command_id=uuid4())


async def send(to: Writer, commands: Iterable[Command]) -> int:
    """Send commands in batches. All must be accepted. Returns the last position."""
    position = 0
    for batch in batches(list(commands), AT_ONCE):
        for outcome in await to.handle([request(command) for command in batch]):
            assert isinstance(outcome, Accepted), outcome
            position = max(position, outcome.position)
    return position


def batches(items: Sequence[Command], size: int) -> Iterable[Sequence[Command]]:
    """Cut a sequence into pieces."""
    return (items[start : start + size] for start in range(0, len(items), size))


def start(number: int, execution_id: UUID) -> StartExecution:
    """Return the start of the execution with this number, which determines its content."""
    return StartExecution(
        by=OPERATOR,
        execution_id=execution_id,
        workflow=("travel", "payment", "deployment", "access")[number % 4],
        queue=("default", "night")[number % 2],
        input={"number": number, "amount": number * 7 % 10_000, "city": f"city{number % 300}"},
        labels=(
            Label(name="team", value=f"team{number % 50}"),
            Label(name="case", value=str(number)),
        ),
    )


def step(execution_id: UUID, key: str) -> RecordStep:
    """Return the command that records a step."""
    return RecordStep(
        by=ENGINE, execution_id=execution_id, key=key, name=key, result={"ok": True, "key": key}
    )


def ask(number: int, execution_id: UUID, fence: int | None = None) -> RequestApproval:
    """Return the request for an approval by one of the groups."""
    return RequestApproval(
        by=ENGINE,
        execution_id=execution_id,
        fence=fence,
        key="approve",
        title=f"Approve number {number} for city{number % 300}",
        payload={"number": number, "euros": number * 7 % 10_000},
        policy=Policy(requirements=(Requirement(groups=(GROUPS[number % len(GROUPS)],)),)),
    )


def complete(execution_id: UUID) -> CompleteExecution:
    """Return the command that completes an execution."""
    return CompleteExecution(by=ENGINE, execution_id=execution_id, result={"done": True})
