"""The WHERE clause of a query: conditions and their parameters."""

from collections.abc import Iterable, Sequence
from typing import Any, LiteralString, Self

from psycopg.sql import SQL, Composable, Composed, Identifier, Placeholder

# With more values of a column than this, one branch for each costs more than it saves.
_MAX_BRANCHES = 10


class WhereClause:
    """Conditions that must all hold, and alternative values of one column.

    If a column may have one of a few values, the query gets one branch for each value. Each branch
    can then read an index in the requested order and stop early, which ``= ANY`` can't.
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.joins: list[Composable] = []
        self._joined: list[Identifier] = []
        self._all: list[Composable] = []
        self._branches: list[Composed] = []

    def add(self, condition: LiteralString, **params: Any) -> Self:
        """Add a condition with its named parameters."""
        self._all.append(SQL(condition))
        self.params.update(params)
        return self

    def join(
        self, table: LiteralString, same: Sequence[LiteralString], name: LiteralString, value: Any
    ) -> Self:
        """Add the condition that another table has a row with a value and these columns the same.

        There must be at most one such row.
        """
        joined = Identifier(f"joined_{len(self._joined)}")
        parameter = f"{name}_{len(self.params)}"
        self.params[parameter] = value
        conditions = [SQL("{0}.{1} = item.{1}").format(joined, Identifier(each)) for each in same]
        conditions.append(
            SQL("{}.{} = {}").format(joined, Identifier(name), Placeholder(parameter))
        )
        self.joins.append(
            SQL(" JOIN {} AS {} ON {}").format(
                Identifier(table), joined, SQL(" AND ").join(conditions)
            )
        )
        self._joined.append(joined)
        return self

    def add_for_each(self, condition: LiteralString, **params: Any) -> Self:
        """Add a condition on columns that the joined tables have too, once for each table.

        The planner draws this conclusion from equalities only. ``{}`` stands for the table.
        """
        for table in (Identifier("item"), *self._joined):
            self._all.append(SQL(condition).format(table))
        self.params.update(params)
        return self

    def one_of(self, name: LiteralString, values: Iterable[Any]) -> Self:
        """Add the condition that a column has one of the values."""
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

    def any_of(self, alternatives: Iterable[tuple[LiteralString, dict[str, Any]]]) -> Self:
        """Add the condition that one of these holds. No row may meet two of them.

        Each is a branch with its own parameters, of which ``{name}`` stands for the place.
        """
        assert not self._branches, "a query has one set of branches"
        for number, (condition, params) in enumerate(alternatives):
            named = {name: f"{name}_{number}" for name in params}
            self.params.update({named[name]: value for name, value in params.items()})
            places = {name: Placeholder(place) for name, place in named.items()}
            self._branches.append(SQL(condition).format(**places))
        return self

    def each(self) -> list[Composed]:
        """Return one condition for each branch. No row matches two of them."""
        common = self._all or [SQL("true")]
        branches: Sequence[Composable | None] = self._branches or [None]
        return [
            SQL(" AND ").join([*common] if branch is None else [*common, branch])
            for branch in branches
        ]


def storable(values: Iterable[str]) -> list[str]:
    """Leave out texts that PostgreSQL can't store. No row can have them."""
    return [value for value in values if "\x00" not in value and _encodable(value)]


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
