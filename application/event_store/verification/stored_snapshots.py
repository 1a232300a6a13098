"""The table ``execution_snapshots``."""

from collections.abc import Iterable
from uuid import UUID

from application.event_store.chained_events import Head
from application.event_store.snapshots import SNAPSHOT_TOPIC, read_snapshot
from application.event_store.verification.audit import NOTHING, Audit, Step, Stream
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding
from application.event_store.verification.ordered_rows import OrderedRows
from domain.refusals import DamagedEventError
from domain.serialization.state_codec import decode_state, encode_state

TABLE = "execution_snapshots"

_ROWS = """
    SELECT originator_id, originator_version, topic, state FROM execution_snapshots
    ORDER BY originator_id, originator_version
"""
_KEY = "SELECT value FROM server_secrets WHERE name = 'snapshots'"
_DELETE = "delete it from execution_snapshots; no data is lost by that"


class SnapshotsAudit(Audit):
    """Each snapshot was signed by a server, and has the state and the hash of its version.

    Snapshots of another version of the fold are not read by servers, and not checked.
    """

    def __init__(self) -> None:
        self._id: UUID | None = None
        self._of: dict[int, bytes] = {}
        self._strays: list[Finding] = []
        self._others = 0

    def open(self, database: Database) -> None:
        self._rows = OrderedRows(database, TABLE, _ROWS)
        secrets = database.rows(_KEY)
        self._secret: bytes = secrets[0][0] if secrets else b""

    def event(self, step: Step) -> Iterable[Finding]:
        head = step.head
        if step.before is None:
            self._begin(Stream(head.id, head.version, step.event.position, None))
        if not self._of:
            return NOTHING
        stored = self._of.pop(head.version, None)
        if stored is None or _matches(stored, head, self._secret):
            return NOTHING
        message = "the snapshot of this version contradicts the events, or no server signed it"
        return [step.finding(TABLE, message, _DELETE)]

    def ended(self, stream: Stream) -> Iterable[Finding]:
        if self._id != stream.id:
            self._begin(stream)
        found, self._strays = self._strays, []
        if stream.head is None:
            return found
        for version in self._of:
            message = f"there is a snapshot of version {version}, which the execution does not have"
            found.append(stream.finding(TABLE, message, _DELETE))
        return found

    def close(self) -> Iterable[Finding]:
        return self._rows.rest()

    def checked(self) -> Iterable[str]:
        yield f"{self._rows.count - self._others} snapshots: signature, hash and state"

    def notes(self) -> Iterable[str]:
        if self._others:
            yield f"{self._others} snapshots of another version of the fold were not checked"

    def _begin(self, stream: Stream) -> None:
        self._id = stream.id
        rows, strays = self._rows.of(stream)
        self._strays += strays
        self._of = {
            version: state or b"" for _, version, topic, state in rows if topic == SNAPSHOT_TOPIC
        }
        self._others += len(rows) - len(self._of)


def _matches(stored: bytes, head: Head, secret: bytes) -> bool:
    snapshot = read_snapshot(head.id, head.version, stored, secret)
    if snapshot is None or snapshot.hash != head.hash:
        return False
    state = encode_state(head.execution)
    if bytes(snapshot.state) == state:
        return True
    # The order of some lists differs from process to process.
    try:
        return decode_state(bytes(snapshot.state)) == decode_state(state)
    except DamagedEventError:
        return False
