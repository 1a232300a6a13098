"""Conditions of a query, collected with their parameters."""

from collections.abc import Iterable, Sequence
from typing import Any, LiteralString, Self

from psycopg.sql import SQL, Composable, Composed, Identifier, Placeholder

# Beyond this many values of a column one branch for each costs more than it saves.
_MAX_BRANCHES = 10


class WhereClause:
    """Conditions that all hold, and the alternatives of one column.

    A column that may have one of a few values gives a branch of the query for each, so that each
    can follow an index in the order asked for and stop early; ``= ANY`` can't.
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._all: list[Composable] = []
        self._branches: list[Composed] = []

    def add(self, condition: LiteralString, **params: Any) -> Self:
        """Add a condition with its named parameters."""
        self._all.append(SQL(condition))
        self.params.update(params)
        return self

    def one_of(self, name: LiteralString, values: Iterable[Any]) -> Self:
        """Ask that the column ``name`` has one of the values."""
        column = Identifier("item", name)
        parameter = f"{name}_{len(self.params)}"
        distinct = list(dict.fromkeys(values))
        if not distinct:
            return self.add("false")
        if len(distinct) > 1 and (self._branches or len(distinct) > _MAX_BRANCHES):
            self.params[parameter] = distinct
            self._all.append(SQL("{} = ANY({})").format(column, Placeholder(parameter)))
            return self
        named = {f"{parameter}_{i}": value for i, value in enumerate(distinct)}
        self.params.update(named)
        equal = [SQL("{} = {}").format(column, Placeholder(key)) for key in named]
        if len(equal) == 1:
            self._all += equal
        else:
            self._branches = equal
        return self

    def each(self) -> list[Composed]:
        """Return a WHERE condition for each branch. No row is in two of them."""
        common = self._all or [SQL("true")]
        branches: Sequence[Composable | None] = self._branches or [None]
        return [
            SQL(" AND ").join([*common] if branch is None else [*common, branch])
            for branch in branches
        ]


def storable(values: Iterable[str]) -> list[str]:
    """Leave out texts that PostgreSQL can't hold, and that no row can have therefore."""
    return [value for value in values if "\x00" not in value and _encodable(value)]


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
