"""Input objects, built by a plan that is made once for each type.

Strawberry looks up names and types of all fields anew for each request, which was a quarter of the
time that a mutation took. By the time that inputs are built, scalars and enumerations are coerced
already, so only objects in objects are left to do.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from strawberry.types.arguments import InputContext
from strawberry.types.base import (
    StrawberryList,
    StrawberryObjectDefinition,
    StrawberryOptional,
    get_object_definition,
)

T = TypeVar("T")
Build = Callable[[Any, InputContext], Any]
Plan = list[tuple[str, str, Build | None]]


def quick(cls: type[T]) -> type[T]:
    """Let instances of a Strawberry input be built by a plan."""
    definition = get_object_definition(cls, strict=True)
    plan: Plan = []

    def build(origin: type, value: Mapping[str, Any], context: InputContext) -> Any:
        if not plan:
            plan.extend(_plan(definition, context))
        given = {}
        for name, attribute, inner in plan:
            if name in value:
                item = value[name]
                given[attribute] = item if inner is None or item is None else inner(item, context)
        return origin(**given)

    definition.from_input = build
    return cls


def _plan(definition: StrawberryObjectDefinition, context: InputContext) -> Plan:
    """Name each field as GraphQL and as Python do, with what builds its value, if anything must."""
    name_of = context.config.name_converter.from_field
    return [
        (name_of(field), field.python_name, _builder(field.resolve_type()))
        for field in definition.fields
    ]


def _builder(type_: Any) -> Build | None:
    if isinstance(type_, StrawberryOptional):
        return _builder(type_.of_type)
    if isinstance(type_, StrawberryList):
        inner = _builder(type_.of_type)
        return None if inner is None else _each(inner)
    definition = get_object_definition(type_)
    if definition is None:
        return None
    assert definition.from_input is not None, f"{definition.name} is not quick"
    from_input = definition.from_input
    return lambda value, context: from_input(definition.origin, value, context)


def _each(inner: Build) -> Build:
    return lambda items, context: [inner(item, context) for item in items]
