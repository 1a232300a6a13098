"""The table ``start_keys``."""

from collections.abc import Iterable

from application.event_store.verification.audit import Audit, Stream
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding
from application.event_store.verification.ordered_rows import OrderedRows

TABLE = "start_keys"

_ROWS = "SELECT execution_id, owner, workflow, key FROM start_keys ORDER BY execution_id"
_TWICE = "a second start with the key finds another execution than the first, or none"


class StartKeysAudit(Audit):
    """The table has exactly the keys of the events Started."""

    def open(self, database: Database) -> None:
        self._rows = OrderedRows(database, TABLE, _ROWS)

    def ended(self, stream: Stream) -> Iterable[Finding]:
        rows, found = self._rows.of(stream)
        if stream.head is None:
            return found
        execution = stream.head.execution
        keys = {row[1:] for row in rows}
        if execution.key is not None:
            started = (execution.initiator.id, execution.workflow, execution.key)
            if started not in keys:
                message = f"there is no row for its start key {execution.key!r}"
                found = [*found, stream.finding(TABLE, message, _TWICE)]
            keys.discard(started)
        for owner, workflow, key in sorted(keys):
            message = f"it was not started with the key {key!r} of {owner!r} and {workflow!r}"
            found = [*found, stream.finding(TABLE, message, _TWICE)]
        return found

    def close(self) -> Iterable[Finding]:
        return self._rows.rest()

    def checked(self) -> Iterable[str]:
        yield f"{self._rows.count} rows of {TABLE}: exactly the keys of the starts"
