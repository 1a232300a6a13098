"""The class of read models: tables, and a function that makes rows from states."""

from collections.abc import Callable, Sequence
from typing import Any, LiteralString

import msgspec
from psycopg import Connection

from domain.execution.state import Execution
from domain.serialization.state_codec import header_of
from projections.querying.checkpoints import POSITIONS
from projections.querying.sql_files import statements


class Change(msgspec.Struct, frozen=True):
    """What a batch of events changed in one execution.

    ``started``: whether its first event is among them. ``requested`` has the ordinals of the
    approvals that were requested. ``touched`` has, for the ordinal of each approval that an event
    was about, the state right after the last such event. So the row of an approval does not depend
    on how the events are divided into batches.
    """

    after: Execution
    started: bool
    requested: set[int]
    touched: dict[int, Execution]


class ReadModel:
    """The tables of one read model, in the schema of the connection's search path.

    ``version`` is the version of the tables. Raise it with every change to them or to what is
    written to them. Tables of another version are rebuilt, and not read.
    """

    def __init__(
        self,
        name: str,
        *,
        version: int,
        tables: tuple[LiteralString, ...],
        render: Callable[[Sequence[Change]], dict[str, Any]],
    ) -> None:
        self.name = name
        self.version = version
        self.tables = tables
        self._render = render
        self._sql = statements(f"projections.{name}", "tables.sql")

    def create_tables(self, connection: Connection[Any]) -> None:
        """Create the tables and the row of the model's position, if they are missing."""
        connection.execute(self._sql["tables"])
        connection.execute(POSITIONS["register"], {"name": self.name, "version": self.version})

    def create_indexes(self, connection: Connection[Any]) -> None:
        """Create the indexes that are missing."""
        connection.execute(self._sql["indexes"])

    def write(
        self, connection: Connection[Any], changes: Sequence[Change], after: int, position: int
    ) -> bool:
        """Write rows and move the position from ``after`` to ``position``, in one statement.

        If the position is no longer ``after``, because another projector has moved it, nothing is
        written and the result is False. There is only one statement, so a process that is suspended
        leaves no open transaction.
        """
        rows = self._render(changes)
        cursor = connection.execute(
            self._sql["upsert"], {**rows, "after": after, "position": position}, prepare=True
        )
        found = cursor.fetchone()
        return found is not None and found[0] == 1


def header(execution: Execution, **kept: Any) -> Execution:
    """Return the state without its maps, except those in ``kept``."""
    return msgspec.structs.replace(header_of(execution), **kept)
