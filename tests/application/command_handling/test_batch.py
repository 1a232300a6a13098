"""The decisions of one commit, without a database."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from application.command_handling.batch import CommandBatch
from application.command_handling.outcomes import Outcome, Refused
from application.command_handling.requests import RequestGroup
from application.event_store.chained_events import Head
from domain.execution.commands import Command, StartExecution
from domain.execution.events import Recorded
from domain.refusals import RefusalCode
from domain.serialization.event_codec import encode
from tests.application.server_process import request_of, step
from tests.domain.people import OLIVIA
from tests.domain.recording import NOON

TOMORROW = NOON + timedelta(days=1)


def start(execution_id: UUID) -> StartExecution:
    return StartExecution(by=OLIVIA, execution_id=execution_id, workflow="travel")


def decided(
    *commands: Command, heads: dict[UUID, Head] | None = None, chained: bool = False
) -> tuple[CommandBatch, list[Outcome]]:
    batch = CommandBatch(dict(heads or {}), {}, {}, {}, NOON)
    group = RequestGroup([request_of(command) for command in commands], chained=chained)
    batch.decide_all([group])
    return batch, batch.outcomes(range(len(batch.appended)), {})[group]


async def test_a_time_in_the_future_does_not_affect_other_executions() -> None:
    """The database's clock was a day ahead once; since then it is right again."""
    ahead, other = uuid4(), uuid4()
    begun = CommandBatch({}, {}, {}, {}, TOMORROW)
    begun.decide_all([RequestGroup([request_of(start(ahead))], chained=False)])
    batch, _ = decided(step(ahead, "one"), start(other), step(other, "one"), heads=begun.heads)
    times = [(event.recorded.execution_id, event.recorded.at) for event in batch.appended]
    assert times == [(ahead, TOMORROW), (other, NOON), (other, NOON)]


async def test_after_a_fault_in_a_chain_later_commands_of_its_execution_are_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken, other = uuid4(), uuid4()

    def faulty(recorded: Recorded) -> bytes:
        if recorded.execution_id == broken and recorded.version > 1:
            raise ZeroDivisionError
        return encode(recorded)

    monkeypatch.setattr("application.command_handling.batch.encode", faulty)
    commands = start(broken), step(broken, "one"), step(broken, "two"), start(other)
    _, (_, fault, skipped, fine) = decided(*commands, chained=True)
    assert isinstance(fault, ZeroDivisionError)
    assert isinstance(skipped, Refused)
    assert skipped.code is RefusalCode.SKIPPED
    assert not isinstance(fine, Refused | Exception)
