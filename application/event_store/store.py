"""The event store of executions: application and mapper of the ``eventsourcing`` library."""

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

from application.event_store.chained_events import chained
from application.event_store.recorder import LogFactory, LogRecorder


class ExecutionMapper(Mapper[UUID]):
    """Maps between the library's stored events and ours, with our own encoding."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Return the row of a chained event."""
        return StoredEvent(
            domain_event.originator_id,
            domain_event.originator_version,
            domain_event.topic,
            domain_event.stored,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Return the chained event of a row."""
        execution_id, version = stored_event.originator_id, stored_event.originator_version
        topic, state = stored_event.topic, stored_event.state
        assert isinstance(execution_id, UUID)
        return chained(execution_id, version, topic, state)


class ExecutionEventStore(Application[UUID]):
    """The library's application object, for one database.

    ``lock_timeout`` is the longest wait for the log's lock, ``idle_in_transaction_timeout`` the
    longest time for which a stopped process can hold it. Both are in whole seconds.
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
        """Build the factory of the recorders."""
        return LogFactory(env, self.conninfo)

    def construct_transcoder(self) -> Transcoder:
        """Build a transcoder, which the library requires and the mapper does not use."""
        return _NoTranscoder()

    def construct_mapper(self) -> Mapper[UUID]:
        """Build the mapper."""
        return ExecutionMapper(self.construct_transcoder())

    @property
    def log_recorder(self) -> LogRecorder:
        """The recorder of the events, for appending in the caller's own transaction."""
        recorder = self.recorder
        assert isinstance(recorder, LogRecorder)
        return recorder


class _NoTranscoder(Transcoder):
    """A placeholder. The mapper encodes, but the library's interface requires a transcoder."""

    def encode(self, obj: Any) -> bytes:
        raise NotImplementedError(obj)

    def decode(self, data: bytes) -> Any:
        raise NotImplementedError(data)
