"""Values completed by plans that are made once for each selection of a document.

graphql-core looks at types, directives and arguments anew for each field of each object, which was
most of what an answer or a message cost. Where a selection has no directive, and its fields neither
arguments nor anything to wait for, all of that is known beforehand.

A resolver that asks for ``info`` is given that of the value which the plan is for: the context in
it is the request's, the path is not the field's.
"""

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple, cast

from graphql import (
    Executor,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    InlineFragmentNode,
    SelectionSetNode,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from strawberry.types import Info as StrawberryInfo
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

# How strawberry leaves its definitions in the types and fields that it makes.
_DEFINITION = "strawberry-definition"

Info = GraphQLResolveInfo[Any]
Complete = Callable[[Any, Info], Any]


class _UnplannedError(Exception):
    """A value that the plan is not for."""


class _Field(NamedTuple):
    name: str
    read: Complete
    complete: Complete


class Plans:
    """The plans of one document, by type and selection. None: there is no plan for it."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, ...], Complete | None] = {}

    def find(
        self, executor: "PlannedExecutor", type_: GraphQLOutputType, details: Any
    ) -> Complete | None:
        """Give the plan by which values of a type are completed. ``details``: the selection.

        The document and the schema, whose parts the plan is found by, must outlive it.
        """
        key = (id(type_), *(id(each.node) for each in details))
        try:
            return self._made[key]
        except KeyError:
            plan = _Planner(executor).plan(type_, details)
            self._made[key] = plan
            return plan


class PlannedExecutor(Executor[Any]):
    """Completes by a plan what it can, and leaves the rest to the library.

    ``plans``: of the document that is executed.
    """

    def __init__(self, *args: Any, plans: Plans, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plans = plans

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: Any,
        info: Info,
        path: Any,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Complete a value."""
        if field_details_list[0].node.selection_set is not None:
            plan = self._plans.find(self, return_type, field_details_list)
            if plan is not None:
                try:
                    return plan(result, info)
                except Exception:  # noqa: BLE001, S110 - the library finds it again, and says where
                    pass
        return super().complete_value(
            return_type, field_details_list, info, path, result, position_context
        )


class _Planner:
    def __init__(self, executor: Executor[Any]) -> None:
        self._executor = executor

    def plan(self, type_: GraphQLOutputType, details: Any) -> Complete | None:
        """Give the plan for a type with a selection, None if there can be none."""
        if is_non_null_type(type_):
            inner = self._nullable(type_.of_type, details)
            return None if inner is None else _required(inner)
        inner = self._nullable(type_, details)
        return None if inner is None else _optional(inner)

    def _nullable(self, type_: Any, details: Any) -> Complete | None:
        if is_list_type(type_):
            item = self.plan(type_.of_type, details)
            return None if item is None else _each(item)
        if is_leaf_type(type_):
            return _leaf(type_)
        if is_abstract_type(type_):
            return self._abstract(type_, details)
        assert is_object_type(type_)
        return self._object(type_, details)

    def _abstract(self, type_: GraphQLAbstractType, details: Any) -> Complete | None:
        possible: dict[type, Complete] = {}
        for each in self._executor.schema.get_possible_types(type_):
            plan = self._object(each, details)
            if plan is None:
                return None
            possible[_definition(each).origin] = plan

        def complete(value: Any, info: Info) -> Any:
            plan = possible.get(type(value))
            if plan is None:
                raise _UnplannedError
            return plan(value, info)

        return complete

    def _object(self, type_: GraphQLObjectType, details: Any) -> Complete | None:
        if any(self._directed(each.node.selection_set) for each in details):
            return None
        selected = self._executor.collect_subfields(type_, details).grouped_field_set
        fields: list[_Field] = []
        for name, chosen in selected.items():
            field = self._field(type_, name, chosen)
            if field is None:
                return None
            fields.append(field)
        origin = _definition(type_).origin

        def complete(value: Any, info: Info) -> dict[str, Any]:
            if type(value) is not origin:
                raise _UnplannedError
            return {name: finish(read(value, info), info) for name, read, finish in fields}

        return complete

    def _field(self, type_: GraphQLObjectType, name: str, details: Any) -> _Field | None:
        field_name = details[0].node.name.value
        if field_name == "__typename":
            return _Field(name, lambda *_: type_.name, lambda value, _: value)
        field = type_.fields[field_name]
        read = _reader(field.extensions[_DEFINITION])
        complete = self.plan(field.type, details)
        if read is None or complete is None:
            return None
        return _Field(name, read, complete)

    def _directed(self, selections: SelectionSetNode | None) -> bool:
        """Whether directives have a say in what is selected."""
        return any(each.directives for each in self._nodes(selections))

    def _nodes(self, selections: SelectionSetNode | None) -> Iterator[Any]:
        for node in () if selections is None else selections.selections:
            yield node
            if isinstance(node, InlineFragmentNode):
                yield from self._nodes(node.selection_set)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._executor.fragment_definitions[node.name.value]
                yield fragment
                yield from self._nodes(fragment.selection_set)


def _definition(type_: GraphQLObjectType) -> StrawberryObjectDefinition:
    definition = type_.extensions[_DEFINITION]
    assert isinstance(definition, StrawberryObjectDefinition)
    return definition


def _reader(field: StrawberryField) -> Complete | None:
    """Give what reads a field of its object, None if that takes more than the object."""
    if field.is_basic_field:
        get = attrgetter(field.python_name)
        return lambda value, _: get(value)
    resolver = field.base_resolver
    if resolver is None or resolver.is_async or field.arguments or field.extensions:
        return None
    resolve = cast("Callable[..., Any]", resolver.wrapped_func)
    if resolver.info_parameter is None:
        return lambda value, _: resolve(value)
    return lambda value, info: resolve(value, StrawberryInfo(_raw_info=info, _field=field))


def _leaf(type_: GraphQLLeafType) -> Complete:
    coerce = type_.coerce_output_value
    return lambda value, _: coerce(value)


def _each(item: Complete) -> Complete:
    return lambda values, info: [item(value, info) for value in values]


def _optional(inner: Complete) -> Complete:
    return lambda value, info: None if value is None else inner(value, info)


def _required(inner: Complete) -> Complete:
    def complete(value: Any, info: Info) -> Any:
        if value is None:
            raise _UnplannedError
        completed = inner(value, info)
        if completed is None:
            raise _UnplannedError
        return completed

    return complete
