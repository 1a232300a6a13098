"""Calls the resolver of an operation with one field directly, without graphql-core around it.

Most requests are such operations: their arguments are variables, and the answer has a plan. If
anything fails, graphql-core gets the result of the resolver, and reports what is wrong and where.
"""

from collections.abc import Callable
from typing import Any, cast

from graphql import GraphQLArgument, Undefined, VariableNode, is_non_null_type, print_ast
from graphql.execution.values import VariableValues
from strawberry.types import Info as StrawberryInfo
from strawberry.types.field import StrawberryField

from api.graphql.fastpath.arguments import Read, UnplannedError, reader
from api.graphql.fastpath.completion import DEFINITION, PlannedExecutor, Plans
from api.graphql.fastpath.serializers import Info

NOTHING = VariableValues({}, {})
COST = 16
"""The memory of a call, counted in fields of plans."""


class Argument:
    """One argument, whose value is a variable."""

    def __init__(self, variable: str, argument: GraphQLArgument) -> None:
        self.variable = variable
        self.python_name: str = argument.extensions[DEFINITION].python_name
        self.read: Read = reader(argument.type)
        self.optional = _optional(argument)


class DirectCall:
    """How to resolve the only field of an operation. ``name`` is its name in the answer.

    ``complete`` returns the JSON of a value. It raises any exception if it can't.
    """

    def __init__(self, executor: PlannedExecutor, plans: Plans) -> None:
        """Raises UnplannedError if graphql-core must run this operation."""
        root = executor.root()
        field: StrawberryField = root.definition.extensions[DEFINITION]
        resolver = field.base_resolver
        if resolver is None or field.extensions or not resolver.self_parameter:
            raise UnplannedError
        self.name = root.name
        self._field = field
        self._resolver = resolver
        self._function = cast("Callable[..., Any]", resolver.wrapped_func)
        self._arguments = _arguments(executor)
        self._info = root.info
        plan = plans.find(executor, root.definition.type, root.details)
        if plan is None:
            raise UnplannedError
        self.complete = plan.complete

    def arguments(self, variables: dict[str, Any]) -> dict[str, Any]:
        """Return the resolver's arguments. Raises any exception for unexpected variables."""
        given = {}
        for argument in self._arguments:
            if argument.variable in variables:
                given[argument.python_name] = argument.read(variables[argument.variable])
            elif not argument.optional:
                raise UnplannedError
        return given

    def info(self, context: Any) -> Info:
        """Return the info for the resolver and the plan, with the context of the request."""
        return self._info._replace(context=context)

    async def resolve(self, arguments: dict[str, Any], info: Info) -> Any:
        """Return what the resolver returns. Raises what it raises."""
        if self._resolver.info_parameter is not None:
            told = StrawberryInfo(_raw_info=info, _field=self._field)
            arguments[self._resolver.info_parameter.name] = told
        value = self._function(None, **arguments)
        return await value if self._resolver.is_async else value


def find(executor: PlannedExecutor, plans: Plans) -> DirectCall | None:
    """Return the direct call of an operation, None if graphql-core must run it.

    The executor must be one of this operation. Nothing of its request is kept.
    """
    executor.context_value = None
    executor.variable_values = NOTHING
    plans.spend(COST)
    try:
        return DirectCall(executor, plans)
    except (LookupError, UnplannedError, RecursionError):
        return None


def resolved(outcome: Any) -> Callable[..., Any]:
    """Return a middleware that gives the root field this value or exception."""

    def resolve(next_: Callable[..., Any], source: Any, info: Any, **arguments: Any) -> Any:
        return outcome if info.path.prev is None else next_(source, info, **arguments)

    return resolve


def _arguments(executor: PlannedExecutor) -> list[Argument]:
    """Return the arguments. Raises UnplannedError if one is not a variable of exactly its type."""
    root = executor.root()
    types = {
        each.variable.name.value: None if each.default_value else print_ast(each.type)
        for each in executor.operation.variable_definitions or ()
    }
    given = {each.name.value: each.value for each in root.details[0].node.arguments or ()}
    found = []
    for name, argument in root.definition.args.items():
        value = given.get(name)
        variable = value.name.value if isinstance(value, VariableNode) else None
        if variable is not None and types.get(variable) == str(argument.type):
            found.append(Argument(variable, argument))
        elif value is not None or not _optional(argument):
            raise UnplannedError
    return found


def _optional(argument: GraphQLArgument) -> bool:
    """Whether the resolver gets no argument if it is left out."""
    default = argument.default is not None or argument.default_value is not Undefined
    return not is_non_null_type(argument.type) and not default
