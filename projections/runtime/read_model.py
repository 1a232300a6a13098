"""The class of read models: tables, and a function that makes rows from states."""

from collections.abc import Callable, Sequence
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import DictRow, dict_row

from application.event_store.chained_events import Head, LoggedEvent, as_execution
from domain.aggregates import Aggregate
from domain.approvals.events import (
    ApprovalAmended,
    ApprovalRequested,
)
from domain.execution.events import (
    Started,
)
from domain.execution.state import Execution
from domain.serialization.state_codec import header_of
from projections.querying.checkpoints import POSITIONS
from projections.querying.sql_files import statements


class Change(msgspec.Struct, frozen=True):
    """What a batch of events changed in one execution or standing grant.

    ``started``: whether its first event is among them. ``reworded`` has the ordinals of the
    approvals that were requested or amended. ``touched`` has, for the ordinal of each approval
    that an event was about, the state right after the last such event. So the row of an approval
    does not depend on how the events are divided into batches. ``events`` has the events that
    were not written before, in order.
    """

    state: Aggregate
    started: bool
    reworded: set[int]
    touched: dict[int, Execution]
    events: list[LoggedEvent] = []

    @property
    def after(self) -> Execution:
        """The execution after the events. Raises TypeError for a standing grant."""
        return as_execution(self.state)


class Changing:
    """Collects what events change in one stream."""

    __slots__ = ("_events", "_head", "_reworded", "_started", "_touched")

    def __init__(self) -> None:
        self._head: Head | None = None
        self._started = False
        self._reworded: set[int] = set()
        self._touched: dict[int, Execution] = {}
        self._events: list[LoggedEvent] = []

    def note(self, head: Head, logged: LoggedEvent, *, known: bool = False) -> None:
        """Note the next event, with the head right after it. ``known``: it was noted before."""
        self._head = head
        if not known:
            self._events.append(logged)
        event = logged.recorded.event
        ordinal = getattr(event, "ordinal", None)
        if ordinal is not None:
            self._touched[ordinal] = head.execution
        if isinstance(event, Started):
            self._started = True
        elif isinstance(event, ApprovalRequested | ApprovalAmended):
            self._reworded.add(event.ordinal)

    @property
    def last(self) -> Head:
        """The head after the last event that was noted."""
        assert self._head is not None
        return self._head

    def change(self) -> Change:
        """Return what the events changed together."""
        return Change(self.last.state, self._started, self._reworded, self._touched, self._events)


class ReadModel:
    """The tables of one read model, in the schema of the connection's search path.

    ``version`` is the version of the tables. Raise it with every change to them or to what is
    written to them. Tables of another version are rebuilt, and not read. ``key`` has the columns
    that identify a row of the first table, the stream's id first. ``row`` is what a row is called.
    ``of`` says of which streams it is made.
    """

    def __init__(
        self,
        name: str,
        *,
        version: int,
        tables: tuple[LiteralString, ...],
        key: tuple[str, ...],
        render: Callable[[Sequence[Change]], dict[str, Any]],
        of: tuple[type[Aggregate], ...] = (Execution,),
    ) -> None:
        self.name = name
        self.row = name.removesuffix("s")
        self.version = version
        self.tables = tables
        self.key = key
        self.of = of
        self._render_those = render
        self._sql = statements(f"projections.{name}", "tables.sql")

    @property
    def definition(self) -> str:
        """The statements that create the tables."""
        return f"{self._sql['tables']}\n{self._sql['indexes']}"

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

    def expected(self, changes: Sequence[Change]) -> dict[str, Any]:
        """Return the rows that the changes give, as a list for each column."""
        return self._render(changes)

    def _render(self, changes: Sequence[Change]) -> dict[str, Any]:
        return self._render_those([each for each in changes if isinstance(each.state, self.of)])

    def stored(self, connection: Connection[Any], ids: Sequence[UUID]) -> list[DictRow]:
        """Return the rows of executions, with the columns named as those of :meth:`expected`."""
        cursor = connection.cursor(row_factory=dict_row, binary=True)
        return cursor.execute(self._sql["stored"], {"ids": ids}, prepare=True).fetchall()

    def other_terms(self, connection: Connection[Any], rows: dict[str, Any]) -> list[Any]:
        """Return the keys of the expected rows whose terms are stored otherwise, or not at all."""
        return connection.execute(self._sql["other_terms"], rows, prepare=True).fetchall()

    def strays(self, connection: Connection[Any]) -> list[Any]:
        """Return (id, False) for rows without an event, and (id, True) for terms without a row."""
        return connection.execute(self._sql["strays"]).fetchall()

    def other_totals(self, connection: Connection[Any]) -> int:
        """Return how many totals differ from what the rows give; 0 if the model has none."""
        statement = self._sql.get("other_totals")
        if statement is None:
            return 0
        [(number,)] = connection.execute(statement).fetchall()
        return int(number)


def header(execution: Execution, **kept: Any) -> Execution:
    """Return the state without its maps, except those in ``kept``."""
    return msgspec.structs.replace(header_of(execution), **kept)
