"""Timers: who fired them, and the table ``execution_timers``."""

from collections.abc import Iterable
from datetime import datetime

from application.event_store.side_tables import pending_rows
from application.event_store.verification.audit import NOTHING, Audit, Step, Stream
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding
from application.event_store.verification.ordered_rows import OrderedRows
from domain.authorization import SERVICE
from domain.execution.events import TimerFired

TABLE = "execution_timers"

# A time that Python does not have is read as NULL, and is then not the expected one.
_ROWS = """
    SELECT execution_id, key, set_version,
        CASE WHEN fires_at >= '0001-01-01' AND fires_at < '10000-01-01' THEN fires_at END
    FROM execution_timers ORDER BY execution_id, key
"""
_FIRES = "a timer does not fire, or fires when it should not"

_Timers = dict[str, tuple[datetime | None, int | None]]


class TimersAudit(Audit):
    """The table has exactly the timers that will still fire."""

    def open(self, database: Database) -> None:
        self._rows = OrderedRows(database, TABLE, _ROWS)

    def event(self, step: Step) -> Iterable[Finding]:
        recorded = step.event.recorded
        if isinstance(recorded.event, TimerFired) and recorded.actor.id != SERVICE.id:
            message = f"{recorded.actor.id!r} fired a timer"
            return [step.finding("event", message, "only the server itself does that")]
        return NOTHING

    def ended(self, stream: Stream) -> Iterable[Finding]:
        rows, strays = self._rows.of(stream)
        if stream.head is None:
            return strays
        pending = pending_rows(stream.head.execution).values()
        if not rows and not pending:
            return strays
        stored: _Timers = {key: (fires_at, version) for _, key, version, fires_at in rows}
        flaws = []
        for timer in pending:
            fires_at, version = stored.pop(timer.key, (None, None))
            if fires_at != timer.fires_at:
                flaws.append(f"timer {timer.key!r} fires at {timer.fires_at}, not at {fires_at}")
            # NULL in the rows of servers of before the column.
            elif version not in {None, timer.set_version}:
                flaws.append(
                    f"timer {timer.key!r} was set at version {timer.set_version}, not {version}"
                )
        flaws += [f"there is a row of timer {key!r}, which is not pending" for key in stored]
        return [*strays, *(stream.finding(TABLE, flaw, _FIRES) for flaw in flaws)]

    def close(self) -> Iterable[Finding]:
        return self._rows.rest()

    def checked(self) -> Iterable[str]:
        yield f"{self._rows.count} rows of {TABLE}: exactly the timers that are pending"
