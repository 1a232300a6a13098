"""Direct calls of resolvers give the same answers as graphql-core."""

from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import pytest
import strawberry
from graphql import (
    ExecutionResult,
    GraphQLSchema,
    OperationType,
    Undefined,
    execute,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    parse,
    validate,
)
from graphql.utilities import coerce_input_value
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.types.arguments import convert_arguments

from api.graphql.document_cache import DocumentCache
from api.graphql.executor import Executor, InvalidRequestError
from api.graphql.fastpath.arguments import reader
from api.graphql.fastpath.completion import DEFINITION
from api.graphql.request import GraphQLRequest
from api.metrics import FALLBACKS
from api.schema import SERVED, schema
from placet.client.transport.operations import commands, queries
from tests.api.graphql_client import GraphQLClient
from tests.domain.people import OLIVIA

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
EXAMPLES = 40
"""For each argument; many have the same types."""

LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "String": st.text(max_size=5),
    "ID": st.text(max_size=5) | st.integers(),
    "Int": st.integers(-(2**31), 2**31 - 1),
    "Boolean": st.booleans(),
    "Duration": st.sampled_from(["PT30S", "P1D"]),
    "DateTime": st.sampled_from(["2030-01-02T03:04:05Z", "2030-01-02T03:04:05.678+01:00"]),
    "JSON": JSON,
}


def values(type_: Any, wrong: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return JSON of an input type, in which ``wrong`` comes up anywhere."""
    if is_non_null_type(type_):
        return some(type_.of_type, wrong).filter(lambda value: value is not None) | wrong
    return st.none() | some(type_, wrong) | wrong


def some(type_: Any, wrong: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    if is_list_type(type_):
        return st.lists(values(type_.of_type, wrong), max_size=3)
    if is_enum_type(type_):
        return st.sampled_from(list(type_.values))
    if not is_input_object_type(type_):
        return LEAVES[type_.name]
    given = {name: values(field.type, wrong) for name, field in type_.fields.items()}
    if type_.extensions[DEFINITION].is_one_of:
        one = [st.fixed_dictionaries({name: inner}) for name, inner in given.items()]
        return st.one_of(one).filter(lambda value: None not in value.values())
    required = {
        name
        for name, field in type_.fields.items()
        if is_non_null_type(field.type) and field.default is None
    }
    return st.fixed_dictionaries(
        {name: given[name] for name in required},
        optional={name: inner for name, inner in given.items() if name not in required},
    )


def arguments() -> list[Any]:
    """Return all arguments of the fields that clients call, with their fields' definitions."""
    roots = [root for root in (SERVED.query_type, SERVED.mutation_type) if root is not None]
    return [
        pytest.param(field, argument, id=f"{name}.{argument}")
        for root in roots
        for name, field in root.fields.items()
        for argument in field.args
    ]


def by_library(field: Any, argument: str, value: Any) -> Any:
    """Read as graphql-core and strawberry do. Undefined for what they refuse."""
    try:
        coerced = coerce_input_value(value, field.args[argument].type)
    except StrawberryInputCoercionError:
        return Undefined
    if coerced is Undefined:
        return Undefined
    definition = field.extensions[DEFINITION]
    converter = schema.schema_converter
    given = convert_arguments(
        {argument: coerced},
        definition.arguments,
        scalar_registry=converter.scalar_registry,
        config=converter.config,
    )
    return next(iter(given.values()))


def plain(value: Any) -> Any:
    """Return inputs as what can be compared."""
    if is_dataclass(value):
        return type(value), {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return (type(value), value)


@pytest.mark.parametrize(("field", "argument"), arguments())
def test_valid_arguments_are_read_as_by_graphql_core(field: Any, argument: str) -> None:
    type_ = field.args[argument].type
    read = reader(type_)

    @settings(max_examples=EXAMPLES)
    @given(values(type_, st.nothing()))
    def read_alike(value: Any) -> None:
        assert plain(read(value)) == plain(by_library(field, argument, value))

    read_alike()


@pytest.mark.parametrize(("field", "argument"), arguments())
def test_arguments_that_graphql_core_refuses_are_refused(field: Any, argument: str) -> None:
    type_ = field.args[argument].type
    read = reader(type_)

    @settings(max_examples=EXAMPLES)
    @given(values(type_, JSON))
    def read_or_left(value: Any) -> None:
        try:
            found = read(value)
        except Exception:  # noqa: BLE001 - it is left to the library then
            return
        assert plain(found) == plain(by_library(field, argument, value))

    read_or_left()


def test_a_default_value_is_not_shared_between_requests() -> None:
    assert SERVED.mutation_type is not None
    read = reader(SERVED.mutation_type.fields["claimExecutions"].args["input"].type)
    first, second = (read({"worker": "w"}).queues for _ in range(2))
    assert first == second == ["default"]
    assert first is not second


@strawberry.enum
class Size(Enum):
    SMALL = "s"


@strawberry.input
class Order:
    name: str
    size: Size | None = Size.SMALL


@strawberry.type
class Made:
    name: str
    by: str

    @strawberry.field
    def broken(self) -> str | None:
        msg = "it is broken"
        raise ValueError(msg)


@strawberry.type
class Query:
    @strawberry.field
    def made(self, info: strawberry.Info, name: str | None = "nobody") -> Made | None:
        return None if name is None else Made(name=name, by=info.context)


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def make(self, info: strawberry.Info, order: Order, more: int = 1) -> Made:
        if order.name == "bad":
            raise ValueError(order.name)
        return Made(name=f"{order.name} {order.size} {more}", by=info.context)

    @strawberry.mutation
    async def make_all(self, orders: list[Order]) -> list[Made | None]:
        return [ValueError(o.name) if o.name == "bad" else Made(name=o.name, by="") for o in orders]  # type: ignore[misc]


SMALL: GraphQLSchema = strawberry.Schema(query=Query, mutation=Mutation)._schema
GOOD, BAD = {"name": "good"}, {"name": "bad"}


@pytest.mark.parametrize(
    ("source", "variables"),
    [
        ("mutation ($o: Order!) { make(order: $o) { name by } }", {"o": GOOD}),
        (
            "mutation ($o: Order!) { it: make(order: $o) { name by } }",
            {"o": {**GOOD, "size": None}},
        ),
        ("mutation ($o: Order!) { make(order: $o) { name by } }", {"o": BAD}),
        ("mutation ($o: Order!) { it: make(order: $o) { name by broken } }", {"o": GOOD}),
        ("mutation ($o: Order!) { make(order: $o) { name } }", {"o": {**GOOD, "colour": "red"}}),
        ("mutation ($o: Order!) { make(order: $o) { name } }", {"o": {"size": "SMALL"}}),
        ("mutation ($o: Order!) { make(order: $o) { name } }", {"o": {**GOOD, "size": "HUGE"}}),
        ("mutation ($o: Order!) { make(order: $o) { name } }", {}),
        (
            "mutation ($o: Order!, $n: Int!) { make(order: $o, more: $n) { name } }",
            {"o": GOOD, "n": 3},
        ),
        ("mutation ($o: Order!, $n: Int = 2) { make(order: $o, more: $n) { name } }", {"o": GOOD}),
        ("mutation ($n: String!) { make(order: {name: $n}) { name } }", {"n": "good"}),
        (
            "mutation ($o: Order!) { make(order: $o) { name } again: make(order: $o) { by } }",
            {"o": GOOD},
        ),
        ("mutation ($o: Order!) { make(order: $o) @include(if: true) { name } }", {"o": GOOD}),
        ("mutation ($o: [Order!]!) { makeAll(orders: $o) { name } }", {"o": [GOOD, BAD, GOOD]}),
        ("mutation ($o: [Order!]!) { makeAll(orders: $o) { name } }", {"o": GOOD}),
        ("mutation ($o: [Order!]!) { makeAll(orders: $o) { name } }", {"o": []}),
        ("query ($n: String) { made(name: $n) { name by } }", {"n": "one"}),
        ("query ($n: String) { made(name: $n) { name by } }", {"n": None}),
        ("query ($n: String) { made(name: $n) { name by } }", {}),
        ("{ made { name by } }", None),
        ("{ made { name broken } }", {"unheard": "of"}),
        ("{ __typename }", {}),
        (
            "query ($n: String) { ...F } fragment F on Query { made(name: $n) { name } }",
            {"n": "one"},
        ),
    ],
)
async def test_every_answer_is_that_of_graphql_core(source: str, variables: Any) -> None:
    document = parse(source)
    assert validate(SMALL, document) == []
    executor = Executor(SMALL, DocumentCache(SMALL))
    operation = executor.prepare(GraphQLRequest(source))
    for who in ("me", "you", "me"):
        context: Any = who
        alone: Any = execute(SMALL, document, context_value=who, variable_values=variables)
        expected = alone if isinstance(alone, ExecutionResult) else await alone
        # The first time the plan is made, then it is there.
        assert await executor.execute(operation, variables, context) == expected


async def test_each_operation_of_a_document_is_called_by_its_name() -> None:
    source = """query A($n: String) { made(name: $n) { name } }
        query B($m: String) { other: made(name: $m) { by } }"""
    executor = Executor(SMALL, DocumentCache(SMALL))
    context: Any = "me"
    for name, variables, expected in (
        ("A", {"n": "one"}, {"made": {"name": "one"}}),
        ("B", {"m": "one"}, {"other": {"by": "me"}}),
        ("A", {"n": "two"}, {"made": {"name": "two"}}),
    ):
        operation = executor.prepare(GraphQLRequest(source, None, name))
        assert (await executor.execute(operation, variables, context)).data == expected


def test_the_operation_name_is_read_for_each_request() -> None:
    source = "query A { made(name: null) { name } } mutation B { makeAll(orders: []) { name } }"
    executor = Executor(SMALL, DocumentCache(SMALL))
    for _ in range(2):
        assert executor.prepare(GraphQLRequest(source, None, "A")).type is OperationType.QUERY
        assert executor.prepare(GraphQLRequest(source, None, "B")).type is OperationType.MUTATION
        for name in (None, "", "C"):
            with pytest.raises(InvalidRequestError):
                executor.prepare(GraphQLRequest(source, None, name))
    first = executor.prepare(GraphQLRequest(source, None, "A"))
    assert executor.prepare(GraphQLRequest(source, None, "A")) is first


async def test_invalid_variables_at_first_do_not_affect_later_requests() -> None:
    executor = Executor(SMALL, DocumentCache(SMALL))
    context: Any = "me"
    operation = executor.prepare(
        GraphQLRequest("mutation ($o: [Order!]!) { makeAll(orders: $o) { name } }")
    )
    assert (await executor.execute(operation, {}, context)).errors
    assert operation.plans.calls == {}
    assert (await executor.execute(operation, {"o": [GOOD]}, context)).errors is None
    assert all(operation.plans.calls.values())


async def test_a_resolver_is_not_called_twice() -> None:
    asked: list[str] = []

    @strawberry.type
    class Once:
        @strawberry.mutation
        async def make(self, name: str) -> Made:
            asked.append(name)
            if name == "bad":
                raise ValueError(name)
            return Made(name=name, by="me")

    once = strawberry.Schema(query=Query, mutation=Once)._schema
    executor = Executor(once, DocumentCache(once))
    source = "mutation ($n: String!) { make(name: $n) { name broken } }"
    operation, context = executor.prepare(GraphQLRequest(source)), _nobody()
    for name in ("good", "bad"):
        assert (await executor.execute(operation, {"n": name}, context)).errors
    assert asked == ["good", "bad"]


def _nobody() -> Any:
    return None


@pytest.mark.parametrize("client", [True], indirect=True)
async def test_frequent_mutations_are_called_directly(client: GraphQLClient) -> None:
    started = await client.ask(commands.START_EXECUTION.document, OLIVIA, input={"workflow": "pay"})
    await client.ask(queries.EXECUTION.document, OLIVIA, id=started["execution"]["id"])
    for document in (commands.START_EXECUTION.document, queries.EXECUTION.document):
        assert all(client.prepare(document).plans.calls.values())


def fallbacks() -> dict[str, float]:
    """Count the operations that were left to graphql-core, by reason."""
    [metric] = FALLBACKS.collect()
    samples = [each for each in metric.samples if each.name.endswith("_total")]
    return {each.labels["reason"]: each.value for each in samples}


@pytest.mark.parametrize(
    ("reason", "source", "variables"),
    [
        ("operation", 'mutation { make(order: {name: "good"}) { name } }', {}),
        ("operation", "{ made { name } again: made { name } }", {}),
        ("variables", "mutation ($o: [Order!]!) { makeAll(orders: $o) { name } }", {"o": GOOD}),
        ("answer", "query ($n: String) { made(name: $n) { broken } }", {"n": "one"}),
        ("answer", "mutation ($o: [Order!]!) { makeAll(orders: $o) { name } }", {"o": [BAD]}),
        (None, "query ($n: String) { made(name: $n) { name } }", {"n": "one"}),
    ],
)
async def test_an_operation_left_to_graphql_core_is_counted_once(
    reason: str | None, source: str, variables: Any
) -> None:
    context: Any = "me"
    for fast in (True, False):
        executor = Executor(SMALL, DocumentCache(SMALL), fast=fast)
        operation = executor.prepare(GraphQLRequest(source))
        before = fallbacks()
        await executor.execute(operation, variables, context)
        after = fallbacks()
        more = {name: after[name] - before.get(name, 0) for name in after}
        counted = {name: count for name, count in more.items() if count}
        assert counted == ({reason: 1} if fast and reason else {})


async def test_without_the_fast_path_nothing_is_planned() -> None:
    executor = Executor(SMALL, DocumentCache(SMALL), fast=False)
    operation = executor.prepare(GraphQLRequest("query ($n: String) { made(name: $n) { name } }"))
    result = await executor.execute(operation, {"n": "one"}, _nobody())
    assert result.data == {"made": {"name": "one"}}
    assert not operation.plans.calls
    assert not operation.plans._made


async def test_a_command_input_with_two_commands_is_refused(client: GraphQLClient) -> None:
    started = await client.ask(commands.START_EXECUTION.document, OLIVIA, input={"workflow": "pay"})
    id_ = started["execution"]["id"]
    both = {
        "recordStep": {"executionId": id_, "key": "a", "name": "a"},
        "completeExecution": {"executionId": id_},
    }
    for _ in range(2):
        result = await client.answer(OLIVIA, commands.SUBMIT.document, inputs=[both])
        assert result.data is None
        assert "must specify exactly one key" in str(result.errors)
    assert await client.process.reader.positions.last() == 1
