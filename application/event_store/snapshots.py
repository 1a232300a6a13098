"""Snapshots: heads stored at one version, so that a long history need not be folded whole.

A snapshot can be thrown away at any time: it is used only if the event at its version still has
the hash that it names.
"""

from collections.abc import Iterable
from uuid import UUID

import msgspec

from application.event_store.recorded import ChainedEvent, Head, fold_heads
from domain.refusals import DamagedEventError
from domain.serialization.state_codec import decode_state, encode_state

SNAPSHOT_TOPIC = "execution.snapshot.v1"
SNAPSHOT_INTERVAL = 100


class Snapshot(msgspec.Struct, frozen=True):
    """A head at one version, as it is stored."""

    originator_id: UUID
    originator_version: int
    hash: str
    state: msgspec.Raw


def snapshot_of(head: Head) -> Snapshot:
    """Give the snapshot of a head."""
    return Snapshot(head.id, head.version, head.hash, msgspec.Raw(encode_state(head.execution)))


def read_snapshot(stored: bytes) -> Snapshot | None:
    """Decode a stored snapshot. Gives None if it can't be decoded."""
    try:
        return msgspec.json.decode(stored, type=Snapshot)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def resume(snapshot: Snapshot, events: Iterable[ChainedEvent]) -> Head | None:
    """Fold events onto a snapshot. The first event is the one at the snapshot's version.

    Gives None if the snapshot can't be used: it has another hash than that event, or can't be
    decoded. Then the whole history has to be folded.
    """
    following = iter(events)
    at_snapshot = next(following, None)
    if at_snapshot is None or at_snapshot.hash != snapshot.hash:
        return None
    state = bytes(snapshot.state)
    try:
        execution = decode_state(state)
    except DamagedEventError:
        return None
    return fold_heads(Head(execution, snapshot.hash, len(state)), following)
