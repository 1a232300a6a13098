"""How values become JSON: a plan for each type, made from those of its parts.

What a plan can't take raises whatever, and is left to the library, which says what is wrong.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple, cast

from graphql import (
    GraphQLBoolean,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLResolveInfo,
    GraphQLString,
    Undefined,
)
from strawberry.schema.schema_converter import CustomGraphQLEnumType
from strawberry.types.scalar import identity

Info = GraphQLResolveInfo[Any]
Convert = Callable[[Any, Info], Any]

_JSON = frozenset({str, int, float, bool, dict, list})
_AS_THEY_ARE: dict[Any, frozenset[type]] = {
    GraphQLString: frozenset({str}),
    GraphQLID: frozenset({str}),
    GraphQLBoolean: frozenset({bool}),
}
_MIN_INT, _MAX_INT = -(2**31), 2**31 - 1


class _UnforeseenError(Exception):
    """The value is not of the kind that the plan is for: the library knows what to say."""


class Plan(NamedTuple):
    """How to give the JSON of values of one type.

    Those of exactly the types ``as_they_are`` are JSON already, and null is among them where it
    may be. ``convert`` is for all others. It raises whatever, if the library has to say what is
    wrong. Whoever completes many looks at the types without a call for each.
    """

    as_they_are: frozenset[type]
    convert: Convert

    def or_null(self) -> "Plan":
        """Give the plan for values that may be null."""
        return self._replace(as_they_are=self.as_they_are | {type(None)})

    def complete(self, value: Any, info: Info) -> Any:
        """Give a value's JSON. Raises as ``convert`` does."""
        return value if type(value) in self.as_they_are else self.convert(value, info)


class Field(NamedTuple):
    """A selected field, by the name that it has in the answer.

    ``get`` takes its value out of the object, None: ``convert`` is given the object itself.
    """

    name: str
    get: Callable[[Any], Any] | None
    as_they_are: frozenset[type]
    convert: Convert


def leaf(type_: GraphQLLeafType) -> Plan:
    """Give the plan for values of a scalar."""
    coerce = type_.coerce_output_value

    def convert(value: Any, _: Info) -> Any:
        if value is None or isinstance(value, Exception):
            raise _UnforeseenError
        converted = coerce(value)
        if converted is None or converted is Undefined:
            raise _UnforeseenError
        return converted

    if type_ is GraphQLInt:
        return Plan(frozenset(), _integer(convert))
    if coerce is identity:
        return Plan(_JSON, convert)
    return Plan(_AS_THEY_ARE.get(type_, frozenset()), convert)


def _integer(otherwise: Convert) -> Convert:
    def convert(value: Any, info: Info) -> Any:
        if type(value) is int and _MIN_INT <= value <= _MAX_INT:
            return value
        return otherwise(value, info)

    return convert


def member(type_: CustomGraphQLEnumType) -> Plan:
    """Give the plan for members of an enum."""
    members = cast("type[Enum]", type_.wrapped_cls)
    # The library looks through the members for each value.
    names = {member: type_.coerce_output_value(member) for member in members}
    # What is no member raises, so that the library says what it makes of it.
    return Plan(frozenset(), lambda value, _: names[value])


def each(item: Plan) -> Plan:
    """Give the plan for lists, from that of their items."""
    as_they_are, convert_item = item

    def convert(values: Any, info: Info) -> Any:
        if not isinstance(values, list | tuple):
            # What can be read only once is read by the library alone.
            raise _UnforeseenError
        return [
            value if type(value) in as_they_are else convert_item(value, info) for value in values
        ]

    return Plan(frozenset(), convert)


def objects(selected: dict[type, list[Field]]) -> Plan:
    """Give the plan for objects of one of these types, with the fields selected of each."""

    def convert(value: Any, info: Info) -> Any:
        completed: dict[str, Any] = {}
        # Of a type that is not foreseen: an error say, which the library knows how to show.
        for name, get, as_they_are, convert_field in selected[type(value)]:
            if get is None:
                completed[name] = convert_field(value, info)
            else:
                found = get(value)
                completed[name] = (
                    found if type(found) in as_they_are else convert_field(found, info)
                )
        return completed

    return Plan(frozenset(), convert)
