"""The positions of the log as a whole: gaps, the sequence that gives them, and who follows them.

A gap alone proves nothing: a commit that was rolled back uses its positions up, and so does a crash
of PostgreSQL. Only a kept state tells such a gap from a removed execution. But whoever follows the
log stands at a position that had an event.
"""

from collections.abc import Iterable, Iterator

from psycopg.sql import SQL, Identifier

from application.event_store.verification.audit import Audit
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding

KIND = "position"

_GAPS = """
    SELECT before, position FROM (
        SELECT notification_id AS position,
            lag(notification_id, 1, 0::bigint) OVER (ORDER BY notification_id) AS before
        FROM execution_events
    ) AS positions WHERE position <> before + 1
"""
_LAST = "SELECT coalesce(max(notification_id), 0) FROM execution_events"
_SEQUENCE = """
    SELECT n.nspname, s.relname FROM pg_class AS s
    JOIN pg_namespace AS n ON n.oid = s.relnamespace
    WHERE s.oid = to_regclass(pg_get_serial_sequence('execution_events', 'notification_id'))
"""
_FOLLOWERS = """
    SELECT name, position FROM projection_positions AS p WHERE position <> 0 AND NOT EXISTS (
        SELECT FROM execution_events AS e WHERE e.notification_id = p.position
    ) ORDER BY name
"""


class PositionsAudit(Audit):
    """Each position is used once, the sequence is ahead, and no follower is where nothing is."""

    def __init__(self) -> None:
        self.last = 0
        self._gaps = self._missing = self._ahead = 0
        self._largest = (0, 0)

    def open(self, database: Database) -> None:
        self._database = database
        [(self.last,)] = database.rows(_LAST)

    def close(self) -> Iterator[Finding]:
        for before, position in self._database.stream("positions", _GAPS):
            if position == before:
                message = f"position {position} is that of two events"
                yield Finding(KIND, None, 0, position, message, "a position was changed")
            elif position > before:
                self._note_gap(before + 1, position - 1)
        yield from self._sequence_flaws()
        for name, position in self._database.rows(_FOLLOWERS):
            message = f"{name} has read the log up to position {position}, but no event is there"
            meaning = "the end of the log was cut off, or this event was removed"
            yield Finding(KIND, None, 0, position, message, meaning)

    def checked(self) -> Iterable[str]:
        yield (
            f"the positions 1 to {self.last}: none is used twice, the sequence is not behind, and "
            "there is an event where each follower of the log stands"
        )

    def notes(self) -> Iterable[str]:
        if self._gaps:
            first, last = self._largest
            yield (
                f"{self._missing} positions in {self._gaps} gaps have no event, most of them from "
                f"{first} to {last}. A commit that was rolled back and a crash of PostgreSQL leave "
                "such gaps, and so does a removed execution; --state tells them apart"
            )
        if self._ahead:
            yield (
                f"the sequence is {self._ahead} positions ahead of the last event. A commit that "
                "was rolled back leaves it so, and so does a log that was cut off; --state tells "
                "them apart"
            )

    def _note_gap(self, first: int, last: int) -> None:
        self._gaps += 1
        self._missing += last - first + 1
        if last - first >= self._largest[1] - self._largest[0]:
            self._largest = (first, last)

    def _sequence_flaws(self) -> Iterator[Finding]:
        found = self._database.rows(_SEQUENCE)
        if not found:
            message = "no sequence gives the positions"
            yield Finding(KIND, None, 0, 0, message, "the table of the log was changed")
            return
        statement = SQL("SELECT last_value, is_called FROM {}").format(Identifier(*found[0]))
        [(value, called)] = self._database.connection.execute(statement).fetchall()
        given = value if called else value - 1
        if given < self.last:
            message = f"the sequence is at {given}, before the last event"
            meaning = "an event was inserted or moved by hand, or the sequence was set back"
            yield Finding(KIND, None, 0, self.last, message, meaning)
        # It is read as it is now, so events of after the snapshot count as well.
        self._ahead = max(given - self.last, 0)
