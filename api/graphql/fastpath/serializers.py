"""Turns values into JSON, by a plan for each type that is made of the plans of its parts.

A plan raises any exception for a value that it can't convert. graphql-core then completes the value
or reports what is wrong.
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

from api.graphql.answer_budget import FIELD_BYTES, size_of, spend

Info = GraphQLResolveInfo[Any]
Convert = Callable[[Any, Info], Any]

_JSON = frozenset({str, int, float, bool, dict, list})
_AS_THEY_ARE: dict[Any, frozenset[type]] = {
    GraphQLString: frozenset({str}),
    GraphQLID: frozenset({str}),
    GraphQLBoolean: frozenset({bool}),
}
_SIZED = frozenset({str, dict, list})
_MIN_INT, _MAX_INT = -(2**31), 2**31 - 1


class _UnplannedValueError(Exception):
    """The plan can't convert this value: graphql-core must do it."""


class Plan(NamedTuple):
    """How to convert values of one type to JSON.

    Values whose type is in ``as_they_are`` are JSON already; for nullable types it includes
    NoneType. ``convert`` converts all others, and raises any exception if it can't. Callers with
    many values check ``as_they_are`` themselves, which saves a call for each.
    """

    as_they_are: frozenset[type]
    convert: Convert

    def or_null(self) -> "Plan":
        """Return the plan for values that may be null."""
        return self._replace(as_they_are=self.as_they_are | {type(None)})

    def complete(self, value: Any, info: Info) -> Any:
        """Return the JSON of a value. Raises what ``convert`` raises."""
        return value if type(value) in self.as_they_are else self.convert(value, info)


class Field(NamedTuple):
    """A selected field, with its name in the answer.

    ``get`` returns its value from the object. None: ``convert`` gets the object itself. ``leaf``:
    it has no selection of its own, whose objects would count their size themselves.
    """

    name: str
    get: Callable[[Any], Any] | None
    as_they_are: frozenset[type]
    convert: Convert
    leaf: bool


def leaf(type_: GraphQLLeafType) -> Plan:
    """Return the plan for values of a scalar."""
    coerce = type_.coerce_output_value

    def convert(value: Any, _: Info) -> Any:
        if value is None or isinstance(value, Exception):
            raise _UnplannedValueError
        converted = coerce(value)
        if converted is None or converted is Undefined:
            raise _UnplannedValueError
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
    """Return the plan for members of an enum."""
    members = cast("type[Enum]", type_.wrapped_cls)
    # graphql-core searches all members for each value.
    names = {member: type_.coerce_output_value(member) for member in members}
    # A value that is no member raises KeyError; graphql-core then reports it.
    return Plan(frozenset(), lambda value, _: names[value])


def each(item: Plan) -> Plan:
    """Return the plan for lists, made from the plan of their items."""
    as_they_are, convert_item = item

    def convert(values: Any, info: Info) -> Any:
        if not isinstance(values, list | tuple):
            # An iterator can be read only once: leave it to graphql-core.
            raise _UnplannedValueError
        return [
            value if type(value) in as_they_are else convert_item(value, info) for value in values
        ]

    return Plan(frozenset(), convert)


def objects(selected: dict[type, list[Field]]) -> Plan:
    """Return the plan for objects of these types, with the selected fields of each."""

    def convert(value: Any, info: Info) -> Any:
        completed: dict[str, Any] = {}
        # An object of another type, such as an exception, raises KeyError.
        fields = selected[type(value)]
        size = FIELD_BYTES * len(fields)
        for name, get, as_they_are, convert_field, leaf in fields:
            if get is None:
                found = convert_field(value, info)
            else:
                found = get(value)
                if type(found) not in as_they_are:
                    found = convert_field(found, info)
            if leaf and type(found) in _SIZED:
                size += size_of(found)
            completed[name] = found
        spend(info.context, size)
        return completed

    return Plan(frozenset(), convert)
