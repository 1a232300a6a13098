"""Writes events directly into the log's table, as the writer would."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
from msgspec.structs import replace

from domain.execution.evolve import evolve
from domain.execution.state import Execution
from domain.serialization.event_codec import GENESIS_HASH, encode, hash_of
from tests.domain.facts import Fact
from tests.domain.recording import NOON, recorded


class EventLog:
    """Appends facts to executions, a second after another over all of them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.states: dict[UUID, Execution] = {}
        self.position = 0
        self._hashes: dict[UUID, str] = {}
        self._seconds = 0
        self.clock_ahead = timedelta()

    def append(self, *facts: Fact, to: UUID | None = None) -> Execution:
        """Append to an execution, or start a new one, in one transaction."""
        return self.append_all([(to or uuid4(), facts)])[0]

    def append_all(self, each: Iterable[tuple[UUID, Iterable[Fact]]]) -> list[Execution]:
        rows: list[tuple[UUID, int, str, bytes]] = []
        states = []
        for execution_id, facts in each:
            rows += [self._row(execution_id, fact) for fact in facts]
            states.append(self.states[execution_id])
        with psycopg.connect(self.url) as connection:
            cursor = connection.cursor()
            cursor.executemany(
                "INSERT INTO execution_events (originator_id, originator_version, topic, state)"
                " VALUES (%s, %s, %s, %s)",
                rows,
            )
            [(self.position,)] = connection.execute(
                "SELECT max(notification_id) FROM execution_events"
            ).fetchall()
        return states

    def _row(self, execution_id: UUID, fact: Fact) -> tuple[UUID, int, str, bytes]:
        state = self.states.get(execution_id)
        self._seconds += 1
        actor, event = fact(state)
        happened = replace(
            recorded(state, actor, event),
            execution_id=execution_id,
            at=NOON + timedelta(seconds=self._seconds) + self.clock_ahead,
            previous_hash=self._hashes.get(execution_id, GENESIS_HASH),
        )
        stored = encode(happened)
        self.states[execution_id] = evolve(state, happened)
        self._hashes[execution_id] = hash_of(execution_id, happened.version, event.topic, stored)
        return execution_id, happened.version, event.topic, stored
