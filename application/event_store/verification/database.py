"""The database as the audits read it: at one moment, and large tables in parts."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, LiteralString

from psycopg import Connection

Row = tuple[Any, ...]

CHUNK = 500


class Database:
    """A connection in a transaction that sees the database as it was at one moment.

    ``closing`` closes what is still being read at the end.
    """

    def __init__(self, connection: Connection[Any], closing: ExitStack) -> None:
        self.connection = connection
        self._closing = closing

    def rows(self, statement: LiteralString, *parameters: Any) -> list[Row]:
        """Return all rows of a statement."""
        cursor = self.connection.cursor(binary=True)
        return cursor.execute(statement, parameters).fetchall()

    def stream(self, name: str, statement: LiteralString, *, chunk: int = CHUNK) -> Iterator[Row]:
        """Yield the rows of a statement, of which only ``chunk`` at a time are in memory."""
        cursor = self._closing.enter_context(self.connection.cursor(f"verify_{name}", binary=True))
        cursor.itersize = chunk
        return iter(cursor.execute(statement))
