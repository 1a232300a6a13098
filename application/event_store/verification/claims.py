"""Claims: the fences in the log, and the table ``execution_holds``."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from application.event_store.side_tables import HoldRow, hold_of
from application.event_store.verification.audit import NOTHING, Audit, Step, Stream
from application.event_store.verification.database import Database, Row
from application.event_store.verification.findings import Finding
from application.event_store.verification.ordered_rows import OrderedRows
from domain.execution.events import Cancelled, Claimed, Completed, Failed, Parked, Retried
from domain.execution.state import Execution

TABLE = "execution_holds"

_ROWS = """
    SELECT execution_id, queue, progress, woken_version, released_version, owner, worker, fence,
        workflow, workflow_version,
        CASE WHEN cancel_requested_at >= '0001-01-01' AND cancel_requested_at < '10000-01-01'
            THEN cancel_requested_at END,
        cancel_requested_at IS NOT NULL
    FROM execution_holds ORDER BY execution_id
"""
_LOST = """
    SELECT DISTINCT execution_id FROM lost_holds AS l WHERE NOT EXISTS (
        SELECT FROM execution_events AS e WHERE e.originator_id = l.execution_id
    )
"""
_FREES = frozenset({Parked, Completed, Failed, Cancelled, Retried})
_WORKERS = "workers get the execution when they should not, or do not get it when they should"


class ClaimsAudit(Audit):
    """Fences grow by one, and each row of ``execution_holds`` says what the events say.

    A release changes the row without an event. So a row without a worker is right after any claim,
    and the version at which it was released can only be limited.
    """

    def __init__(self) -> None:
        self._claims = 0
        self._holder: tuple[str, str] | None = None

    def open(self, database: Database) -> None:
        self._rows = OrderedRows(database, TABLE, _ROWS)
        self._lost = database.rows(_LOST)

    def event(self, step: Step) -> Iterable[Finding]:
        recorded, before = step.event.recorded, step.before
        event = recorded.event
        if before is None:
            self._holder = None
        elif isinstance(event, Claimed):
            self._claims += 1
            self._holder = (recorded.actor.id, event.worker)
            if event.fence != before.fence + 1:
                message = f"the fence is {event.fence} after {before.fence}"
                return [step.finding("claim", message, "each claim gets the next fence")]
        elif type(event) in _FREES:
            self._holder = None
        return NOTHING

    def ended(self, stream: Stream) -> Iterable[Finding]:
        rows, strays = self._rows.of(stream)
        if stream.head is None:
            return strays
        execution = stream.head.execution
        flaws = list(self._flaws(execution, rows[0] if rows else None))
        if not flaws:
            return strays
        return [*strays, *(stream.finding(TABLE, flaw, _WORKERS) for flaw in flaws)]

    def close(self) -> Iterable[Finding]:
        yield from self._rows.rest()
        for (execution_id,) in self._lost:
            message = "a worker is to be told that it lost this execution, which has no event"
            yield Finding("lost_holds", execution_id, 0, 0, message, "it was removed from the log")

    def checked(self) -> Iterable[str]:
        yield f"{self._claims} claims: each has the next fence"
        yield (
            f"{self._rows.count} rows of {TABLE}: one for each execution that is not final, with "
            "queue, workflow, progress, woken version, cancellation, worker and fence"
        )

    def _flaws(self, execution: Execution, row: Row | None) -> Iterator[str]:
        if execution.state.final:
            if row is not None:
                yield f"there is a row, but the execution is {execution.state}"
            return
        if row is None:
            yield f"there is no row, but the execution is {execution.state}"
            return
        _, queue, progress, woken, released, owner, worker, fence, *rest = row
        expected = hold_of(execution)
        yield from _other_flaws(expected, *rest)
        if queue != expected.queue:
            yield f"the queue is {queue!r}, not {expected.queue!r}"
        if progress is not expected.progress:
            yield f"progress is {progress}, not {expected.progress}"
        if woken != expected.woken_version:
            yield f"the woken version is {woken}, not {expected.woken_version}"
        if released > execution.version or (execution.parked is not None and released):
            yield f"it was released at version {released}, which no worker can have seen"
        # NULL if a server of before the column claimed it, or if it was retried since.
        if fence is not None and fence != execution.fence:
            yield f"the fence is {fence}, but the last claim has {execution.fence}"
        if (owner, worker) not in {(None, None), self._holder}:
            holder = "nobody" if self._holder is None else "{1!r} of {0!r}".format(*self._holder)
            yield f"the worker {worker!r} of {owner!r} holds it, but {holder} claimed it last"


def _other_flaws(
    expected: HoldRow,
    workflow: str | None,
    workflow_version: str | None,
    cancel_requested_at: datetime | None,
    cancelling: bool,  # noqa: FBT001 - a column
) -> Iterator[str]:
    known = (expected.workflow, expected.workflow_version)
    # NULL if a server of before the column wrote the row.
    if workflow is not None and (workflow, workflow_version) != known:
        yield f"the workflow and its version are {(workflow, workflow_version)}, not {known}"
    wanted = expected.cancel_requested_at
    if (cancel_requested_at, cancelling) != (wanted, wanted is not None):
        yield f"the cancellation was requested at {cancel_requested_at}, not at {wanted}"
