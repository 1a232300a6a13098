"""Executions that can't be projected, because an event of theirs can't be read or folded.

Only such an execution stops: its rows stay as they were before that event, and the read models go
on with all others. The table ``projection_failures`` has them by read model, because each has its
own position. A process that can read the execution projects it again and removes its row.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog
from psycopg import Connection

from projections.querying.sql_files import statements
from projections.runtime.metrics import UNREADABLE

_SQL = statements("projections.runtime", "failures.sql")

_log = structlog.get_logger(__name__)


class Failure(msgspec.Struct, frozen=True):
    """The first event of an execution that can't be projected, and why not."""

    execution_id: UUID
    version: int
    position: int
    reason: str


class Failures:
    """The failures of the read models, as they are in the database."""

    def __init__(self, models: Iterable[str]) -> None:
        self._known: dict[str, dict[UUID, int]] = {name: {} for name in models}

    def load(self, connection: Connection[Any]) -> None:
        """Read all failures from the database."""
        found: dict[str, dict[UUID, int]] = {name: {} for name in self._known}
        for model, execution_id, position in connection.execute(_SQL["read"], prepare=True):
            if model in found:
                found[model][execution_id] = position
        self._known = found
        self._count(found)

    def of(self, model: str) -> dict[UUID, int]:
        """Return the executions that a read model could not project, with the position of each."""
        return dict(self._known[model])

    def add(
        self, connection: Connection[Any], models: Sequence[str], failures: Sequence[Failure]
    ) -> None:
        """Store failures, and log each of them that is new.

        Call it before the positions of the read models pass these events. If the process ends in
        between, the next one meets the same events again.
        """
        for failure in failures:
            new = add(connection, models, failure)
            for model in models:
                self._known[model].setdefault(failure.execution_id, failure.position)
            if new:
                _log.error(
                    "execution_unreadable",
                    id=str(failure.execution_id),
                    version=failure.version,
                    position=failure.position,
                    error=failure.reason,
                    models=sorted(new),
                )
        self._count(models)

    def remove(self, connection: Connection[Any], models: Sequence[str], id_: UUID) -> None:
        """Remove an execution that was projected again."""
        connection.execute(_SQL["remove"], {"models": list(models), "id": id_}, prepare=True)
        for model in models:
            self._known[model].pop(id_, None)
        _log.info("execution_readable_again", id=str(id_), models=sorted(models))
        self._count(models)

    def _count(self, models: Iterable[str]) -> None:
        for model in models:
            UNREADABLE.labels(model).set(len(self._known[model]))


def add(connection: Connection[Any], models: Sequence[str], failure: Failure) -> list[str]:
    """Store a failure. Returns the read models for which it is new."""
    parameters = {
        "models": list(models),
        "id": failure.execution_id,
        "version": failure.version,
        "position": failure.position,
        # PostgreSQL has no texts with this character.
        "reason": failure.reason.replace("\0", "\ufffd"),
    }
    found = connection.execute(_SQL["add"], parameters, prepare=True).fetchall()
    return [model for (model,) in found]


def replace_all(connection: Connection[Any], model: str, failures: Iterable[Failure]) -> None:
    """Replace all failures of a read model, when its tables are replaced."""
    connection.execute(_SQL["clear"], {"model": model})
    for failure in failures:
        add(connection, [model], failure)
