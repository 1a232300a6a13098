"""Writes one read model's rows in a thread and a connection of its own.

So the database writes one batch, for all read models at once, while the next is folded.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from psycopg import Connection

from projections.querying.checkpoints import Checkpoints
from projections.runtime.connections import connect
from projections.runtime.metrics import PROJECTED, STOPPED
from projections.runtime.read_model import Change, ReadModel


class ModelWriter:
    """Writes batches in the order in which they are submitted; connects at the first."""

    def __init__(self, conninfo: str, model: ReadModel, checkpoints: Checkpoints) -> None:
        self._conninfo = conninfo
        self._model = model
        self._checkpoints = checkpoints
        self._connection: Connection[Any] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"placet-{model.name}")

    def submit(
        self, changes: Sequence[Change], *, after: int, position: int, events: int
    ) -> Future[bool]:
        """Begin to write; the answer is that of :meth:`ReadModel.write`."""
        return self._thread.submit(self._write, changes, after, position, events)

    def _write(self, changes: Sequence[Change], after: int, position: int, events: int) -> bool:
        name = self._model.name
        if self._connection is None:
            self._connection = connect(self._conninfo, application_name=f"placet-{name}")
        written = self._model.write(self._connection, changes, after, position)
        if written:
            self._checkpoints.reached(name, position)
            PROJECTED.labels(name).inc(events)
            STOPPED.labels(name).set(0)
        return written

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finish what was submitted, and close the connection."""
        self._thread.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
