"""The audit: reads the whole log and reports every event that was changed after it was recorded.

It also compares each snapshot with the fold, because the hash in a snapshot proves only the event.
"""

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import DictRow, dict_row

from application.event_store.chained_events import (
    BrokenChainError,
    Head,
    LoggedEvent,
    advance,
    logged,
)
from application.event_store.snapshots import SNAPSHOT_TOPIC, read_snapshot
from domain.approvals.document import document_digest, document_of
from domain.execution.events import (
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
)
from domain.refusals import DamagedEventError, IllegalTransitionError, UnknownTopicError
from domain.serialization.canonical_json import canonical, digest
from domain.serialization.event_codec import GENESIS_HASH, hash_of
from domain.serialization.state_codec import decode_state, encode_state

_ALL = """
    SELECT originator_id, originator_version, topic, state, notification_id
    FROM execution_events ORDER BY originator_id, originator_version
"""
_SNAPSHOTTED = "SELECT DISTINCT originator_id FROM execution_snapshots"
_SNAPSHOTS_OF = """
    SELECT originator_version, state FROM execution_snapshots
    WHERE originator_id = %s AND topic = %s
"""
_KEY = "SELECT value FROM server_secrets WHERE name = 'snapshots'"
_CHUNK = 1_000


class Finding(NamedTuple):
    """One error, at one event of one execution."""

    execution_id: UUID
    version: int
    position: int
    message: str

    def __str__(self) -> str:
        return (
            f"execution {self.execution_id} version {self.version} "
            f"(position {self.position}): {self.message}"
        )


class Verification:
    """An audit of the log. ``executions`` and ``events`` count what :meth:`findings` has read."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self.executions = 0
        self.events = 0

    def findings(self) -> Iterator[Finding]:
        """Read all executions in one snapshot of the database, and yield the errors."""
        chain: _Chain | None = None
        with (
            psycopg.connect(self._conninfo) as connection,
            connection.cursor("verify", row_factory=dict_row) as cursor,
        ):
            cursor.itersize = _CHUNK
            snapshotted = {id_ for (id_,) in connection.execute(_SNAPSHOTTED)}
            [(secret,)] = connection.execute(_KEY).fetchall()
            for row in cursor.execute(_ALL):
                if chain is None or chain.execution_id != row["originator_id"]:
                    id_ = row["originator_id"]
                    snapshots: dict[int, bytes] = {}
                    if id_ in snapshotted:
                        rows = connection.execute(_SNAPSHOTS_OF, [id_, SNAPSHOT_TOPIC])
                        snapshots = dict(rows.fetchall())
                    chain = _Chain(id_, snapshots, secret)
                    self.executions += 1
                self.events += 1
                yield from chain.check(row)


class _Chain:
    """The hash chain of one execution, as far as it was read.

    After an error the state is unknown, so from there on only the hashes are checked.
    """

    def __init__(self, execution_id: UUID, snapshots: dict[int, bytes], secret: bytes) -> None:
        self.execution_id = execution_id
        self._snapshots = snapshots
        self._secret = secret
        self._version = 0
        self._hash = GENESIS_HASH
        self._head: Head | None = None
        self._foldable = True

    def check(self, row: DictRow) -> Iterator[Finding]:
        version, position = row["originator_version"], row["notification_id"]
        for message in self._flaws(row):
            yield Finding(self.execution_id, version, position, message)
        self._version = version
        self._hash = hash_of(self.execution_id, version, row["topic"], bytes(row["state"]))

    def _flaws(self, row: DictRow) -> Iterator[str]:
        version = row["originator_version"]
        if version != self._version + 1:
            self._foldable = False
            yield f"versions {self._version + 1} to {version - 1} are missing"
        try:
            event = logged(row)
        except (DamagedEventError, UnknownTopicError) as error:
            self._foldable = False
            yield f"the stored bytes were changed: {error}"
            return
        named = event.recorded.previous_hash
        if version == self._version + 1 and named != self._hash:
            self._foldable = False
            yield (
                f"names the previous hash {named}, but version {version - 1} has {self._hash}: "
                f"version {version - 1} or this one was changed after it was recorded"
            )
        if self._foldable:
            yield from self._fold(event)

    def _fold(self, event: LoggedEvent) -> Iterator[str]:
        try:
            self._head = advance(self._head, event)
        except (BrokenChainError, IllegalTransitionError) as error:
            self._foldable = False
            yield f"can't follow the events before it: {error}"
            return
        yield from _digest_flaws(self._head, event)
        stored = self._snapshots.get(self._head.version)
        if stored is not None and not _matches(stored, self._head, self._secret):
            yield (
                "the snapshot of this version contradicts the events; "
                "delete it from execution_snapshots; no data is lost by that"
            )


def _matches(stored: bytes, head: Head, secret: bytes) -> bool:
    snapshot = read_snapshot(head.id, head.version, stored, secret)
    if snapshot is None or snapshot.hash != head.hash:
        return False
    try:
        state = decode_state(bytes(snapshot.state))
    except DamagedEventError:
        return False
    # Both through the same encoding, because it does not distinguish lists from tuples.
    return state == decode_state(encode_state(head.execution))


def _digest_flaws(head: Head, event: LoggedEvent) -> Iterator[str]:
    recorded, execution = event.recorded.event, head.execution
    match recorded:
        case ApprovalRequested(ordinal=ordinal):
            approval = execution.approvals[ordinal]
            payload = canonical(approval.payload)
            if digest(payload) != approval.payload_digest:
                yield "the payload does not match its digest"
            if document_digest(document_of(execution, approval), payload) != approval.digest:
                yield "the document does not match its digest"
        case ApprovalGranted(ordinal=ordinal) | ApprovalRejected(ordinal=ordinal):
            if recorded.digest != execution.approvals[ordinal].digest:
                yield "the decision names another document than the requested one"
        case ApprovalRedeemed(ordinal=ordinal):
            if recorded.payload_digest != execution.approvals[ordinal].payload_digest:
                yield "the redeemed payload is not the granted one"
