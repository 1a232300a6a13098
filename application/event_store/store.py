"""The event store of executions, on the ``eventsourcing`` library: application and mapper."""

from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.application import Application
from eventsourcing.persistence import (
    EventStore,
    InfrastructureFactory,
    Mapper,
    StoredEvent,
    Transcoder,
)
from eventsourcing.utils import Environment

from application.event_store.recorded import Head, chained
from application.event_store.recorder import LogFactory, LogRecorder
from application.event_store.snapshots import SNAPSHOT_TOPIC, Snapshot, snapshot_of


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
        return chained(execution_id, version, topic, state)


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
        snapshot: Any = snapshot_of(head)
        self.snapshot_store.put([snapshot])


class _NoTranscoder(Transcoder):
    """The mapper does the transcoding; the library's interface asks for one all the same."""

    def encode(self, obj: Any) -> bytes:
        raise NotImplementedError(obj)

    def decode(self, data: bytes) -> Any:
        raise NotImplementedError(data)
