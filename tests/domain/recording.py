"""Recorded events as the application writes them, with invented times and ids."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Recorded,
)
from domain.execution.state import Execution
from domain.serialization.event_codec import GENESIS_HASH
from domain.values import Actor
from tests.domain.ask import EXECUTION

NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)


def time_of(version: int) -> datetime:
    """Return the time at which a version is recorded."""
    return NOON + timedelta(seconds=version)


def recorded(
    state: Execution | None,
    actor: Actor,
    event: Event,
    *,
    previous_hash: str = GENESIS_HASH,
    later: timedelta = timedelta(),
) -> Recorded:
    """Record the event as the next version, one second after another, or ``later`` than that."""
    version = 1 if state is None else state.version + 1
    return Recorded(
        execution_id=EXECUTION if state is None else state.id,
        version=version,
        at=time_of(version) + later,
        actor=actor,
        command_id=UUID(int=version),
        correlation_id=UUID(int=1),
        causation_id=None if version == 1 else UUID(int=version - 1),
        previous_hash=previous_hash,
        event=event,
    )
