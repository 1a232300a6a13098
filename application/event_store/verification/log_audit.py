"""Reads the whole log once, in one snapshot of the database, and hands it to all audits."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection, IsolationLevel

from application.event_store.verification.amendments import AmendmentsAudit
from application.event_store.verification.api_keys import ApiKeysAudit
from application.event_store.verification.audit import NAMES, Audit, Stream
from application.event_store.verification.children import ChildrenAudit
from application.event_store.verification.claims import ClaimsAudit
from application.event_store.verification.database import Database
from application.event_store.verification.decisions import DecisionsAudit
from application.event_store.verification.directory import DirectoryAudit
from application.event_store.verification.event_chain import EventChain
from application.event_store.verification.findings import Finding
from application.event_store.verification.positions import PositionsAudit
from application.event_store.verification.standing_grants import StandingGrantsAudit
from application.event_store.verification.start_keys import StartKeysAudit
from application.event_store.verification.stored_snapshots import SnapshotsAudit
from application.event_store.verification.substitutions import SubstitutionsAudit
from application.event_store.verification.timers import TimersAudit
from domain.directory.state import Person
from domain.execution.state import Execution
from domain.standing_grants.state import StandingGrant

_ALL = """
    SELECT originator_id, originator_version, topic, state, notification_id
    FROM execution_events ORDER BY originator_id, originator_version
"""
_CHUNK = 1_000


class Verification:
    """An audit of the log, of the side tables, and by ``also`` of what else follows from it.

    ``executions``, ``standing_grants``, ``people`` and ``events`` count what :meth:`findings` has
    read. Only one stream at a time is in memory.
    """

    def __init__(self, conninfo: str, also: Iterable[Audit] = ()) -> None:
        self._conninfo = conninfo
        self.executions = 0
        self.standing_grants = 0
        self.people = 0
        self.events = 0
        self._unknown = 0
        self._positions = PositionsAudit()
        self._audits: list[Audit] = [
            DecisionsAudit(),
            AmendmentsAudit(),
            ClaimsAudit(),
            TimersAudit(),
            ChildrenAudit(),
            StartKeysAudit(),
            SnapshotsAudit(),
            StandingGrantsAudit(),
            DirectoryAudit(),
            SubstitutionsAudit(),
            ApiKeysAudit(),
            *also,
            self._positions,
        ]

        # Most audits are not interested in both, and there are many events.
        self._of_events = {
            kind: [a.event for a in self._those_of(kind) if type(a).event is not Audit.event]
            for kind in NAMES
        }
        self._at_end = {
            kind: [a.ended for a in self._those_of(kind) if type(a).ended is not Audit.ended]
            for kind in NAMES
        }

    def _those_of(self, kind: type) -> list[Audit]:
        return [audit for audit in self._audits if kind in audit.streams]

    @property
    def position(self) -> int:
        """The position of the last event in the snapshot."""
        return self._positions.last

    def findings(self) -> Iterator[Finding]:
        """Read everything, and yield what no server has written. Raises psycopg errors."""
        with psycopg.connect(self._conninfo, application_name="placet-verify") as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield from self.read(connection)

    def read(self, connection: Connection[Any]) -> Iterator[Finding]:
        """Do what :meth:`findings` does, in the transaction of a connection."""
        # Times are then in UTC, and all that PostgreSQL has can be read.
        connection.execute("SET LOCAL TIME ZONE 'UTC'")
        with ExitStack() as closing:
            database = Database(connection, closing)
            for audit in self._audits:
                audit.open(database)
            yield from self._read_log(database)
            for audit in self._audits:
                yield from audit.close()

    def checked(self) -> Iterator[str]:
        """Say what was checked, one line for each subject."""
        yield (
            f"{self.events} events of {self.executions} executions, {self.standing_grants} "
            f"standing grants and {self.people} people: bytes, the hash of the event before, order "
            "of versions, positions and times, actor and command, and whether each may follow"
        )
        for audit in self._audits:
            yield from audit.checked()

    def notes(self) -> Iterator[str]:
        """Say what was seen that may or may not be in order."""
        if self._unknown:
            yield (
                f"the state of {self._unknown} executions is not known, because not all of their "
                "events can be read and folded. No other table was compared with them"
            )
        for audit in self._audits:
            yield from audit.notes()

    def _read_log(self, database: Database) -> Iterator[Finding]:
        chain: EventChain | None = None
        execution_id: UUID | None = None
        for row in database.stream("log", _ALL, chunk=_CHUNK):
            if row[0] != execution_id or chain is None:
                if chain is not None:
                    yield from self._ended(chain.stream)
                execution_id = row[0]
                chain = EventChain(row[0])
            self.events += 1
            step = chain.read(row)
            if chain.found:
                yield from chain.found
            if step is not None:
                for follow in self._of_events[type(step.head.state)]:
                    yield from follow(step)
        if chain is not None:
            yield from self._ended(chain.stream)

    def _ended(self, stream: Stream) -> Iterator[Finding]:
        self.executions += stream.kind is Execution
        self.standing_grants += stream.kind is StandingGrant
        self.people += stream.kind is Person
        self._unknown += stream.head is None
        for ended in self._at_end[stream.kind]:
            yield from ended(stream)
