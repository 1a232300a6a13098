"""Completes values by plans, which are made once for each selection of a document.

graphql-core looks at types, directives and arguments again for each field of each object. That was
most of the time of an answer or a message. A plan knows all of it in advance, if the selection has
no directives, and its fields have no arguments and no asynchronous resolvers.

A resolver with an ``info`` parameter gets the info of the value that the plan completes: its
context is that of the request, but its path is not that of the field.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, cast
from weakref import WeakSet

from graphql import (
    ExecutionResult,
    Executor,
    FieldNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    SelectionSetNode,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)
from graphql.execution import execute_subscription_event
from graphql.execution.collect_fields import FieldDetails
from graphql.pyutils import AwaitableOrValue, Path
from strawberry.schema.schema_converter import CustomGraphQLEnumType
from strawberry.types import Info as StrawberryInfo
from strawberry.types.field import StrawberryField

from api import metrics
from api.graphql.answer_budget import FIELD_BYTES, AnswerTooLargeError, size_of, spend
from api.graphql.fastpath import serializers
from api.graphql.fastpath.serializers import Convert, Field, Info, Plan

# Where strawberry keeps its definitions in the types, fields and arguments that it makes.
DEFINITION = "strawberry-definition"
MAX_FIELDS = 20_000
"""Fields that plans of all documents may have together. Each takes about a kilobyte."""


class Budget:
    """Limits the memory of all plans. When it is spent, all plans are dropped and made again.

    ``spent`` counts fields, and the nodes in the keys of plans.
    """

    def __init__(self, max_fields: int = MAX_FIELDS) -> None:
        self._max_fields = max_fields
        self.spent = 0
        self._plans: WeakSet[Plans] = WeakSet()

    def plans(self) -> "Plans":
        """Return an empty set of plans, for one document."""
        plans = Plans(self)
        self._plans.add(plans)
        return plans

    def spend(self, fields: int) -> None:
        """Count more fields. If these are too many, drop all plans."""
        self.spent += fields
        if self.spent > self._max_fields:
            self.spent = fields
            for plans in self._plans:
                plans.clear()


class Plans:
    """The plans of one document, by type and selection. None: the selection can't be planned.

    ``calls`` has the direct calls of its operations, by name. The executor fills it.
    """

    def __init__(self, budget: Budget) -> None:
        self.calls: dict[str | None, Any] = {}
        self._budget = budget
        self._made: dict[tuple[int, ...], Plan | None] = {}

    def clear(self) -> None:
        """Drop all plans."""
        self._made.clear()
        self.calls.clear()

    def spend(self, fields: int) -> None:
        """Count memory that is equal to the plans of this many fields."""
        self._budget.spend(fields)

    def find(
        self, executor: "PlannedExecutor", type_: GraphQLOutputType, details: Any
    ) -> Plan | None:
        """Return the plan that completes values of a type. ``details``: the selection.

        Plans are found by the ids of nodes and types, so the document and the schema must outlive
        them.
        """
        key = (id(type_), *(id(each.node) for each in details))
        try:
            return self._made[key]
        except KeyError:
            planner = _Planner(executor, self)
            plan = planner.plan(type_, details)
            # Directives with variables can make any number of selections out of one document.
            self.spend(planner.fields + len(key))
            self._made[key] = plan
            return plan


class PlannedExecutor(Executor[Any]):
    """Completes values by plans where it can, and leaves the rest to graphql-core.

    ``plans`` are those of the document that is executed. None: graphql-core completes everything.
    """

    def __init__(self, *args: Any, plans: Plans | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plans = plans
        self._root: Root | None = None

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
        selected = field_details_list[0].node.selection_set is not None
        plans = self._plans
        if (
            plans is not None
            and selected
            and result is not None
            and not isinstance(result, Exception)
        ):
            plan = plans.find(self, return_type, field_details_list)
            if plan is not None:
                try:
                    return plan.complete(result, info)
                except AnswerTooLargeError:
                    raise
                except Exception:  # noqa: BLE001, S110 - graphql-core finds and reports it
                    pass
        completed = super().complete_value(
            return_type, field_details_list, info, path, result, position_context
        )
        if not is_non_null_type(return_type):
            # A type that is not null was counted within.
            spend(info.context, FIELD_BYTES + (0 if selected else size_of(completed)))
        return completed

    def build_per_event_executor(self, payload: Any) -> Executor[Any]:
        """Make an executor for one event that keeps nothing of the event."""
        executor = super().build_per_event_executor(payload)
        # The copies would share it, and it would get an entry for each event.
        executor._relevant_sub_fields = {}  # noqa: SLF001 - there is no public name
        return executor

    def message(self, event: Any) -> AwaitableOrValue[ExecutionResult]:
        """Complete an event of a subscription."""
        if self._plans is not None:
            try:
                root = self.root()
                plan = self._plans.find(self, root.definition.type, root.details)
                if plan is not None:
                    # Strawberry resolves the field to the event itself.
                    return ExecutionResult({root.name: plan.complete(event, root.info)})
            except AnswerTooLargeError as error:
                return ExecutionResult(None, [GraphQLError("", original_error=error)])
            except Exception:  # noqa: BLE001, S110 - as above
                pass
            metrics.FALLBACKS.labels("message").inc()
        return execute_subscription_event(self.build_per_event_executor(event))

    def root(self) -> "Root":
        """Return the only root field. Raises LookupError if graphql-core must find it."""
        if self._root is None:
            self._root = self._find_root()
        return self._root

    def _find_root(self) -> "Root":
        type_ = self.schema.get_root_type(self.operation.operation)
        selections = self.operation.selection_set.selections
        node = selections[0]
        plain = isinstance(node, FieldNode) and not (node.directives or self.operation.directives)
        if type_ is None or len(selections) > 1 or not plain:
            raise LookupError(selections)
        assert isinstance(node, FieldNode)
        definition = type_.fields[node.name.value]
        name = (node.alias or node.name).value
        info = self.build_resolve_info(definition, [node], type_, Path(None, name, type_.name))
        return Root(name, definition, [FieldDetails(node, None)], info)


class Root(NamedTuple):
    """The only root field of an operation. ``name`` is its name in the answer."""

    name: str
    definition: GraphQLField
    details: list[FieldDetails]
    info: Info


class _Planner:
    """Makes one plan. Inner selections have plans of their own. ``fields``: how many it has."""

    def __init__(self, executor: PlannedExecutor, plans: Plans) -> None:
        self.fields = 0
        self._executor = executor
        self._plans = plans

    def plan(self, type_: GraphQLOutputType, details: Any) -> Plan | None:
        """Return the plan for a type with a selection, None if it can't be planned."""
        if is_non_null_type(type_):
            return self._plan(type_.of_type, details)
        plan = self._plan(type_, details)
        return None if plan is None else plan.or_null()

    def _plan(self, type_: Any, details: Any) -> Plan | None:
        """Return the plan for values that are not null."""
        if isinstance(type_, CustomGraphQLEnumType):
            return serializers.member(type_)
        if is_leaf_type(type_):
            return serializers.leaf(type_)
        if is_list_type(type_):
            item = self.plan(type_.of_type, details)
            return None if item is None else serializers.each(item)
        if any(self._has_directives(each.node.selection_set) for each in details):
            return None
        selected: dict[type, list[Field]] = {}
        for possible in self._possible(type_):
            definition = possible.extensions.get(DEFINITION)
            fields = None if definition is None else self._selected(possible, details)
            if definition is None or fields is None:
                # A type of introspection, or a field that can't be planned.
                return None
            selected[definition.origin] = fields
        return serializers.objects(selected)

    def _has_directives(self, selections: SelectionSetNode) -> bool:
        """Whether a directive may change which fields are selected."""
        for node in selections.selections:
            parts: list[Any] = [node]
            if isinstance(node, FragmentSpreadNode):
                parts.append(self._executor.fragment_definitions[node.name.value])
            if any(part.directives for part in parts):
                return True
            if not isinstance(node, FieldNode) and self._has_directives(parts[-1].selection_set):
                return True
        return False

    def _possible(self, type_: GraphQLCompositeType) -> Sequence[GraphQLObjectType]:
        if is_object_type(type_):
            return [type_]
        assert is_abstract_type(type_)
        return self._executor.schema.get_possible_types(type_)

    def _selected(self, type_: GraphQLObjectType, details: Any) -> list[Field] | None:
        selected = self._executor.collect_subfields(type_, details).grouped_field_set
        self.fields += len(selected)
        fields: list[Field] = []
        for name, chosen in selected.items():
            field = self._field(name, type_, chosen)
            if field is None:
                return None
            fields.append(field)
        return fields

    def _field(self, name: str, type_: GraphQLObjectType, details: Any) -> Field | None:
        """Return the plan of one field of an object type."""
        node = details[0].node
        if node.name.value == "__typename":
            return Field(name, None, frozenset(), lambda *_: type_.name, leaf=False)
        field = type_.fields[node.name.value]
        definition: StrawberryField = field.extensions[DEFINITION]
        if not _known_at_once(definition):
            return None
        if node.selection_set is None:
            plan = self.plan(field.type, details)
        else:
            plan = self._plans.find(self._executor, field.type, details)
        if plan is None:
            return None
        leaf = node.selection_set is None
        if definition.is_basic_field:
            return Field(name, attrgetter(definition.python_name), *plan, leaf)
        return Field(name, None, frozenset(), _resolved(definition, plan.complete), leaf)


def _known_at_once(field: StrawberryField) -> bool:
    """Whether a field can be resolved from the object alone, and at once."""
    resolver = field.base_resolver
    if resolver is None:
        return field.is_basic_field
    return not (resolver.is_async or field.arguments or field.extensions)


def _resolved(field: StrawberryField, complete: Convert) -> Convert:
    """Return the function that completes a field with a resolver."""
    resolver = field.base_resolver
    assert resolver is not None
    resolve = cast("Callable[..., Any]", resolver.wrapped_func)
    if resolver.info_parameter is None:
        return lambda value, info: complete(resolve(value), info)
    return lambda value, info: complete(
        resolve(value, StrawberryInfo(_raw_info=info, _field=field)), info
    )
