"""Recorded events as the application writes them, with invented times and ids."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.execution.events import Event, Recorded
from domain.execution.state import Execution
from domain.serialization.event_codec import GENESIS_HASH
from domain.values import Actor
from tests.domain.ask import EXECUTION

NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)


def recorded(
    state: Execution | None,
    actor: Actor,
    event: Event,
    *,
    previous_hash: str = GENESIS_HASH,
) -> Recorded:
    """Record the event as the next version, one second after another."""
    version = 1 if state is None else state.version + 1
    return Recorded(
        execution_id=EXECUTION if state is None else state.id,
        version=version,
        at=NOON + timedelta(seconds=version),
        actor=actor,
        command_id=UUID(int=version),
        correlation_id=UUID(int=1),
        causation_id=None if version == 1 else UUID(int=version - 1),
        previous_hash=previous_hash,
        event=event,
    )
