"""Reads arguments by plans, which are made once for each type.

graphql-core looks at the type of every field again for each value, and then strawberry does: that
was a third of the time of a mutation. A plan turns a value from JSON into what the resolver takes.
It only knows the form that clients usually send. For everything else it raises any exception;
graphql-core then accepts the value or reports what is wrong.
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
    """There is no plan for this type, or the value is not what the plan expects."""


def reader(type_: GraphQLInputType) -> Read:
    """Return the reader for values of a type. Raises UnplannedError if it can't be planned."""
    if is_non_null_type(type_):
        return _required(_some(type_.of_type))
    read = _some(type_)
    return lambda value: None if value is None else read(value)


def _some(type_: Any) -> Read:
    """Return the reader for values that are not null."""
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
    """Return the reader for an input object. All documents share it."""
    # graphql-core does not know of oneOf here: strawberry checks it in an out_type function.
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
            # A copy, because resolvers may change it.
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
    """Return each field's name in Python and its reader, by its name in GraphQL."""
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
