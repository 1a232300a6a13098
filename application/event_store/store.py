"""The event store of executions, on the ``eventsourcing`` library: application and mapper."""

from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import (
    InfrastructureFactory,
    Mapper,
    StoredEvent,
    Transcoder,
)
from eventsourcing.utils import Environment

from application.event_store.recorded import chained
from application.event_store.recorder import LogFactory, LogRecorder


class ExecutionMapper(Mapper[UUID]):
    """Maps between the library's stored events and ours, with a transcoding of our own."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Give the row of a chained event."""
        return StoredEvent(
            domain_event.originator_id,
            domain_event.originator_version,
            domain_event.topic,
            domain_event.stored,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Give the chained event of a row."""
        execution_id, version = stored_event.originator_id, stored_event.originator_version
        topic, state = stored_event.topic, stored_event.state
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


class _NoTranscoder(Transcoder):
    """The mapper does the transcoding; the library's interface asks for one all the same."""

    def encode(self, obj: Any) -> bytes:
        raise NotImplementedError(obj)

    def decode(self, data: bytes) -> Any:
        raise NotImplementedError(data)
