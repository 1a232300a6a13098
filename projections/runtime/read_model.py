"""What every read model is: tables, and the rows that states render to."""

from collections.abc import Callable, Sequence
from typing import Any, LiteralString

import msgspec
from psycopg import Connection

from domain.execution.state import Execution
from domain.serialization.state_codec import header_of
from projections.querying.checkpoints import POSITIONS
from projections.querying.sql_files import statements


class Change(msgspec.Struct, frozen=True):
    """What a run of events made of one execution.

    ``started``: the execution starts with them. ``requested`` has the ordinals of the approvals
    that were requested in them. ``touched`` gives, for the ordinal of each approval that an event
    was about, the state right after the last such event: so a row does not depend on where one run
    ends and the next begins.
    """

    after: Execution
    started: bool
    requested: set[int]
    touched: dict[int, Execution]


class ReadModel:
    """The tables of one read model in one schema, whichever the connection's search path names.

    ``version`` counts the shapes that the tables have had. Raise it with any change to them or
    to what is written to them: an older table is then rebuilt, not read.
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
        """Create the tables and the model's entry among the positions, where missing."""
        connection.execute(self._sql["tables"])
        connection.execute(POSITIONS["register"], {"name": self.name, "version": self.version})

    def create_indexes(self, connection: Connection[Any]) -> None:
        """Create the indexes that are missing."""
        connection.execute(self._sql["indexes"])

    def write(
        self, connection: Connection[Any], changes: Sequence[Change], after: int, position: int
    ) -> bool:
        """Write rows and move the position from ``after`` to ``position``, in one statement.

        False, and nothing is written, if the position is not ``after`` any more: another
        projector was here. One statement leaves no open transaction behind if this process stops
        in the middle.
        """
        rows = self._render(changes)
        cursor = connection.execute(
            self._sql["upsert"], {**rows, "after": after, "position": position}, prepare=True
        )
        found = cursor.fetchone()
        return found is not None and found[0] == 1


def header(execution: Execution, **kept: Any) -> Execution:
    """Return the state without its maps, but for what is ``kept``."""
    return msgspec.structs.replace(header_of(execution), **kept)
