"""Snapshots: states stored at a version, so that not all of a long history has to be folded.

Snapshots can be deleted at any time. A snapshot is used only if the event at its version has the
hash that it names, if the same version of the fold wrote it, and if a server wrote it. The last is
proved by an HMAC (RFC 2104, SHA-256) with a key from ``server_secrets``, so nobody can forge a
snapshot who can only write to the table of snapshots.
"""

import hashlib
import hmac
from collections.abc import Iterable
from uuid import UUID

import msgspec

from application.event_store.chained_events import ChainedEvent, Head, fold_heads
from domain.refusals import DamagedEventError
from domain.serialization.state_codec import FOLD_VERSION, decode_state, encode_state

SNAPSHOT_INTERVAL = 100
SNAPSHOT_TOPIC = f"execution.snapshot.fold-{FOLD_VERSION}"
"""The topic names the version of the fold, so that snapshots of other versions are not read."""


class Snapshot(msgspec.Struct, frozen=True):
    """A stored state, with the hash of the event at its version."""

    hash: str
    mac: str
    state: msgspec.Raw


def snapshot_due(before: int, version: int) -> bool:
    """Whether a snapshot is due for one of the versions after ``before``, up to ``version``.

    The interval grows with the history. So at most a tenth of the events come after the last
    snapshot, and all snapshots of an execution together take some thirty times its size.
    """
    interval = SNAPSHOT_INTERVAL
    while version >= 20 * interval:
        interval *= 2
    return version // interval > before // interval


def encode_snapshot(head: Head, secret: bytes) -> bytes:
    """Encode the snapshot of the head of an execution."""
    state = encode_state(head.execution)
    mac = _mac(head.id, head.version, head.hash, state, secret)
    return msgspec.json.encode(Snapshot(head.hash, mac, msgspec.Raw(state)))


def read_snapshot(
    execution_id: UUID, version: int, stored: bytes, secret: bytes
) -> Snapshot | None:
    """Decode a stored snapshot. Returns None if it can't be decoded or no server wrote it."""
    try:
        snapshot = msgspec.json.decode(stored, type=Snapshot)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    mac = _mac(execution_id, version, snapshot.hash, bytes(snapshot.state), secret)
    return snapshot if hmac.compare_digest(mac, snapshot.mac) else None


def resume(snapshot: Snapshot, events: Iterable[ChainedEvent]) -> Head | None:
    """Fold events onto a snapshot. The first event is the one at the snapshot's version.

    Returns None if the snapshot can't be used, because it names another hash than that event has,
    or can't be decoded. Then the whole history has to be folded.
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


def _mac(execution_id: UUID, version: int, hash_: str, state: bytes, secret: bytes) -> str:
    begin = f"{SNAPSHOT_TOPIC}\n{execution_id}\n{version}\n{hash_}\n".encode()
    return hmac.new(secret, begin + state, hashlib.sha256).hexdigest()
