"""The log of executions on the ``eventsourcing`` library: mapper, repository, snapshots."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.application import AggregateNotFoundError, Application, Repository
from eventsourcing.persistence import (
    EventStore,
    InfrastructureFactory,
    Mapper,
    StoredEvent,
    Transcoder,
)
from eventsourcing.utils import Environment

from application.event_store.recorded import ChainedEvent, Head, advance
from application.event_store.recorder import LogFactory, LogRecorder
from domain.refusals import DamagedEventError
from domain.serialization.event_codec import decode, hash_of
from domain.serialization.state_codec import decode_state, encode_state

SNAPSHOT_TOPIC = "execution.snapshot.v1"
SNAPSHOT_INTERVAL = 100


class Snapshot(msgspec.Struct, frozen=True):
    """A head put away at one version. It can be thrown away at any time."""

    originator_id: UUID
    originator_version: int
    hash: str
    state: msgspec.Raw


class ExecutionMapper(Mapper[UUID]):
    """Maps between the library's stored events and ours, each with a transcoding of its own."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Give the row of a chained event or of a snapshot."""
        if isinstance(domain_event, Snapshot):
            topic, state = SNAPSHOT_TOPIC, msgspec.json.encode(domain_event)
        else:
            topic, state = domain_event.topic, domain_event.stored
        return StoredEvent(
            domain_event.originator_id, domain_event.originator_version, topic, state
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Give the chained event or the snapshot of a row."""
        execution_id, version = stored_event.originator_id, stored_event.originator_version
        topic, state = stored_event.topic, stored_event.state
        if topic == SNAPSHOT_TOPIC:
            return msgspec.json.decode(state, type=Snapshot)
        assert isinstance(execution_id, UUID)
        return ChainedEvent(
            recorded=decode(execution_id, version, topic, state),
            topic=topic,
            stored=state,
            hash=hash_of(execution_id, version, topic, state),
        )


class ExecutionRepository(Repository[UUID]):
    """Gives heads. A snapshot is used only if the event at its version still has its hash."""

    def head(self, execution_id: UUID, version: int | None = None) -> Head | None:
        """Give the head, at ``version`` or the latest before it; None if there is no such thing.

        Raises BrokenChainError, DamagedEventError or IllegalTransitionError for a damaged log.
        """
        try:
            return self.get(execution_id, version=version, projector_func=fold_heads)
        except AggregateNotFoundError:
            return None

    def _reconstruct_aggregate(
        self, aggregate_id: UUID, version: int | None, projector_func: Any
    ) -> Any:
        head = self._from_snapshot(aggregate_id, version)
        if head is None:
            head = projector_func(None, self.event_store.get(aggregate_id, lte=version))
        if head is None:
            msg = f"there is no execution {aggregate_id}"
            raise AggregateNotFoundError(msg)
        return head

    def _from_snapshot(self, execution_id: UUID, version: int | None) -> Head | None:
        if self.snapshot_store is None:
            return None
        try:
            found: list[Any] = list(
                self.snapshot_store.get(execution_id, desc=True, limit=1, lte=version)
            )
        except msgspec.MsgspecError:
            return None
        for snapshot in found:
            events: Any = self.event_store.get(
                execution_id, gt=snapshot.originator_version - 1, lte=version
            )
            return resume(snapshot, events)
        return None


def read_snapshot(stored: bytes) -> Snapshot | None:
    """Read a snapshot's bytes, None if they are none."""
    try:
        return msgspec.json.decode(stored, type=Snapshot)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def resume(snapshot: Snapshot, events: Iterable[ChainedEvent]) -> Head | None:
    """Fold what came after a snapshot onto it; the first event is that at the snapshot's version.

    None if the snapshot is not of that event or can't be read: then all events have to be folded.
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


def fold_heads(head: Head | None, events: Iterable[ChainedEvent]) -> Head | None:
    """Fold events onto a head, None for no event at all."""
    for event in events:
        head = advance(head, event)
    return head


class ExecutionEventStore(Application[UUID]):
    """The application object of the library, for one database.

    ``lock_timeout`` and ``idle_in_transaction_timeout`` are in whole seconds: the longest wait
    for the log's lock, and how long a stopped process can hold it.
    """

    name = "execution"
    is_snapshotting_enabled = True

    def __init__(
        self,
        conninfo: str,
        *,
        lock_timeout: int = 5,
        idle_in_transaction_timeout: int = 3,
        create_table: bool = False,
    ) -> None:
        self.conninfo = conninfo
        env = LogFactory.environment(
            conninfo,
            lock_timeout=lock_timeout,
            idle_in_transaction_timeout=idle_in_transaction_timeout,
            create_table=create_table,
        )
        super().__init__(env)

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        """Build the factory of our recorders."""
        return LogFactory(env, self.conninfo)

    def construct_transcoder(self) -> Transcoder:
        """Build what the library asks for and the mapper does without."""
        return _NoTranscoder()

    def construct_mapper(self) -> Mapper[UUID]:
        """Build our mapper."""
        return ExecutionMapper(self.construct_transcoder())

    def construct_repository(self) -> ExecutionRepository:
        """Build our repository."""
        return ExecutionRepository(self.events, snapshot_store=self.snapshots)

    @property
    def repository(self) -> ExecutionRepository:
        """Reconstructs heads from snapshots and events."""
        repository = super().repository
        assert isinstance(repository, ExecutionRepository)
        return repository

    @property
    def log_recorder(self) -> LogRecorder:
        """The recorder of the events, for those who append in transactions of their own."""
        recorder = self.recorder
        assert isinstance(recorder, LogRecorder)
        return recorder

    @property
    def snapshot_store(self) -> EventStore[UUID]:
        """Where the snapshots are."""
        assert self.snapshots is not None
        return self.snapshots

    def put_snapshot(self, head: Head) -> None:
        """Put a head away. A snapshot that is there already is left as it is."""
        snapshot: Any = Snapshot(
            head.id, head.version, head.hash, msgspec.Raw(encode_state(head.execution))
        )
        self.snapshot_store.put([snapshot])


class _NoTranscoder(Transcoder):
    """The mapper does the transcoding; the library's interface asks for one all the same."""

    def encode(self, obj: Any) -> bytes:
        raise NotImplementedError(obj)

    def decode(self, data: bytes) -> Any:
        raise NotImplementedError(data)
