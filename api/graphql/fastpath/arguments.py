"""Arguments, read by plans that are made once for each type.

graphql-core looks at the type of every field anew for each value, and strawberry does so once more:
together a third of what a mutation cost. A plan reads a value as it comes in JSON into what the
resolver takes. It takes values in the one shape that clients write them in; what it raises on, for
whatever reason, is left to the library, which accepts it all the same or says what is wrong.
"""

from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import Any

from graphql import (
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    Undefined,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
)
from graphql.utilities.coerce_input_value import coerce_default_value

from api.graphql.fastpath.completion import DEFINITION

Read = Callable[[Any], Any]

IMMUTABLE = (str, int, float, Enum, timedelta)


class UnplannedError(Exception):
    """There is no plan for this, or the value is not as the plan has it."""


def reader(type_: GraphQLInputType) -> Read:
    """Give what reads values of a type. Raises UnplannedError if there can be no plan."""
    if is_non_null_type(type_):
        return _required(_some(type_.of_type))
    read = _some(type_)
    return lambda value: None if value is None else read(value)


def _some(type_: Any) -> Read:
    """Give what reads values that are not null."""
    if is_list_type(type_):
        return _list(reader(type_.of_type))
    if is_input_object_type(type_):
        return _object(type_)
    return _leaf(type_.coerce_input_value)


def _required(read: Read) -> Read:
    def present(value: Any) -> Any:
        if value is None:
            raise UnplannedError
        return read(value)

    return present


def _leaf(coerce: Read) -> Read:
    def read(value: Any) -> Any:
        coerced = coerce(value)
        if coerced is Undefined:
            raise UnplannedError
        return coerced

    return read


def _list(item: Read) -> Read:
    def read(values: Any) -> Any:
        if not isinstance(values, list):
            raise UnplannedError
        return [item(value) for value in values]

    return read


@cache
def _object(type_: GraphQLInputObjectType) -> Read:
    """Give what reads an input object, the same for all documents."""
    # The library is not told of it: strawberry looks to it alone, in a function of its own.
    if type_.extensions[DEFINITION].is_one_of:
        return _one_of(type_)
    if type_.out_type is not GraphQLInputObjectType.out_type:
        raise UnplannedError
    return _some_of(type_)


def _some_of(type_: GraphQLInputObjectType) -> Read:
    origin = type_.extensions[DEFINITION].origin
    fields = _fields(type_)
    defaults = {
        field.extensions[DEFINITION].python_name: default
        for field in type_.fields.values()
        if (default := _default(field)) is not Undefined
    }
    lists = [attribute for attribute, default in defaults.items() if isinstance(default, list)]
    required = {
        fields[name][0]
        for name, field in type_.fields.items()
        if is_non_null_type(field.type) and fields[name][0] not in defaults
    }

    def read(value: Any) -> Any:
        given = defaults.copy()
        for attribute in lists:
            # Whoever is given it may change it.
            given[attribute] = given[attribute].copy()
        for name, item in value.items():
            attribute, inner = fields[name]
            given[attribute] = inner(item)
        if not required <= given.keys():
            raise UnplannedError
        return origin(**given)

    return read


def _one_of(type_: GraphQLInputObjectType) -> Read:
    origin = type_.extensions[DEFINITION].origin
    fields = _fields(type_)

    def read(value: Any) -> Any:
        [(name, item)] = value.items()
        if item is None:
            raise UnplannedError
        attribute, inner = fields[name]
        return origin(**{attribute: inner(item)})

    return read


def _fields(type_: GraphQLInputObjectType) -> dict[str, tuple[str, Read]]:
    """Give, for each field as GraphQL names it, what Python calls it, and what reads it."""
    return {
        name: (field.extensions[DEFINITION].python_name, reader(field.type))
        for name, field in type_.fields.items()
    }


def _default(field: GraphQLInputField) -> Any:
    default = coerce_default_value(field)
    for value in default if isinstance(default, list) else [default]:
        if not (value is Undefined or value is None or isinstance(value, IMMUTABLE)):
            raise UnplannedError
    return default
