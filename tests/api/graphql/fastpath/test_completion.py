"""Planned completion gives the same results as graphql-core."""

from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any

import pytest
import strawberry
from graphql import (
    ExecutionResult,
    GraphQLSchema,
    execute,
    get_introspection_query,
    parse,
    print_schema,
    validate,
)
from hypothesis import given
from hypothesis_graphql import queries
from strawberry.schema.config import StrawberryConfig

from api.graphql.fastpath.completion import Budget, PlannedExecutor, Plans
from api.schema.scalars import JSON, SCALARS
from placet.client.transport.operations import commands, leases, subscriptions
from tests.api.graphql_client import GraphQLClient
from tests.domain.people import ANN, ENGINE, OLIVIA


@strawberry.enum
class Colour(Enum):
    RED = "red"
    ROT = "red"  # noqa: PIE796 - another name for it


class Other(Enum):
    RED = "red"


@strawberry.interface
class Thing:
    name: str
    colour: Colour | None

    @strawberry.field
    def length(self) -> int:
        return len(self.name)


@strawberry.type
class Leaf(Thing):
    weight: float | None


@strawberry.type
class Branch(Thing):
    parts: list[Thing]
    spare: list[Thing | None] | None
    best: Leaf | None

    @strawberry.field
    def broken(self) -> str | None:
        msg = "it is broken"
        raise ValueError(msg)

    @strawberry.field
    def missing(self) -> str:
        return None  # type: ignore[return-value]

    @strawberry.field
    async def later(self) -> Leaf | None:
        return self.best

    @strawberry.field
    def some(self, first: int = 1) -> list[Thing]:
        return self.parts[:first]

    @strawberry.field
    def named(self, info: strawberry.Info) -> str:
        return f"{self.name} for {info.context}"


RED = Leaf(name="red", colour=Colour.RED, weight=1.5)
PLAIN = Leaf(name="plain", colour=None, weight=None)
TWIG = Branch(name="twig", colour=None, parts=[], spare=None, best=None)


@strawberry.type
class Query:
    @strawberry.field
    def root(self) -> Branch:
        return Branch(name="root", colour=None, parts=[RED, TWIG], spare=[None, RED], best=PLAIN)

    @strawberry.field
    def wrong(self) -> list[Thing | None]:
        return [RED, ValueError("no thing"), None]  # type: ignore[list-item]

    @strawberry.field
    def nothing(self) -> Leaf | None:
        return None

    @strawberry.field
    def wrong_type(self) -> Leaf | None:
        return TWIG  # type: ignore[return-value]


SMALL: GraphQLSchema = strawberry.Schema(query=Query, types=[Leaf, Branch])._schema


async def both(
    source: str, plans: Plans | None = None, **variables: Any
) -> tuple[ExecutionResult, ExecutionResult]:
    """Execute as the library does and by plans, the second time when they are made already."""
    document = parse(source)
    assert validate(SMALL, document) == []
    results = []
    plans = plans or Budget().plans()
    for planned in (False, True, True):
        more: dict[str, Any] = (
            {"executor_class": PlannedExecutor, "plans": plans} if planned else {}
        )
        result = execute(SMALL, document, context_value="me", variable_values=variables, **more)
        results.append(result if isinstance(result, ExecutionResult) else await result)
    plain, first, second = results
    assert first == second
    return plain, second


@strawberry.enum
class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


@strawberry.type
class Values:
    text: str
    text_or_none: str | None
    id: strawberry.ID
    truth: bool
    truth_or_none: bool | None
    number: int
    colour: Colour
    colour_or_none: Colour | None
    size: Size
    sizes: list[Size]
    texts: list[str]
    anything: JSON
    anything_or_none: JSON | None
    length: timedelta
    lengths: list[timedelta]


class Text(str):
    __slots__ = ()


FITTING: dict[str, Any] = {
    "text": "x",
    "text_or_none": None,
    "id": "1",
    "truth": True,
    "truth_or_none": None,
    "number": 1,
    "colour": Colour.RED,
    "colour_or_none": None,
    "size": Size.SMALL,
    "sizes": [Size.SMALL, Size.LARGE],
    "texts": ["a", "b"],
    "anything": {"a": [1, None]},
    "anything_or_none": None,
    "length": timedelta(seconds=1),
    "lengths": [timedelta(seconds=1), timedelta()],
}
ANYTHING: tuple[Any, ...] = (
    *(None, 1, 0, 1.5, 2**40, True, "x", "small", "RED", Text("q"), b"b", object, {"a": 1}),
    *(Colour.RED, Colour.ROT, Size.LARGE, Other.RED, ValueError("v"), strawberry.UNSET),
    *([], ["a", None], [Text("a"), 3], [Size.LARGE, "small"], [timedelta(1), None]),
)


@strawberry.type
class Root:
    @strawberry.field
    def values(self, info: strawberry.Info) -> Values | None:
        return Values(**info.context)


VALUES: GraphQLSchema = strawberry.Schema(
    query=Root, config=StrawberryConfig(scalar_map=SCALARS)
)._schema
ALL_VALUES = parse(
    "{ values { text textOrNone id truth truthOrNone number"
    " colour colourOrNone size sizes texts anything anythingOrNone length lengths } }"
)


@pytest.mark.parametrize("field", FITTING)
def test_values_are_completed_as_by_graphql_core(field: str) -> None:
    for value in ANYTHING:
        plans = Budget().plans()
        given = {**FITTING, field: value}
        by_plan: dict[str, Any] = {"executor_class": PlannedExecutor, "plans": plans}
        plain = execute(VALUES, ALL_VALUES, context_value=given)
        planned = [execute(VALUES, ALL_VALUES, context_value=given, **by_plan) for _ in range(2)]
        assert isinstance(plain, ExecutionResult)
        for result in planned:
            assert isinstance(result, ExecutionResult)
            assert repr(result.data) == repr(plain.data), value
            assert [str(e) for e in result.errors or ()] == [str(e) for e in plain.errors or ()]


@given(queries(print_schema(SMALL)))
async def test_any_query_has_the_same_result_as_with_graphql_core(source: str) -> None:
    plain, planned = await both(source)
    assert planned == plain


@pytest.mark.parametrize(
    "source",
    [
        "{ root { name broken } }",
        "{ root { name missing } }",
        "{ wrong { name } }",
        "{ wrong { __typename } }",
    ],
)
async def test_errors_are_reported_as_by_graphql_core(source: str) -> None:
    plain, planned = await both(source)
    assert plain.errors
    assert planned == plain


async def test_introspection_works() -> None:
    plain, planned = await both(get_introspection_query())
    assert plain.errors is None
    assert planned == plain


async def test_directives_are_evaluated_for_each_request() -> None:
    source = """query ($yes: Boolean!) { root {
        name @include(if: $yes) ...Rest @skip(if: $yes) ... on Branch @include(if: $yes) { colour }
    } } fragment Rest on Thing { length }"""
    plans = Budget().plans()
    for yes in (True, False, True):
        document = parse(source)
        options: dict[str, Any] = {"executor_class": PlannedExecutor, "plans": plans}
        results = [
            execute(SMALL, document, variable_values={"yes": yes}, **more) for more in ({}, options)
        ]
        assert results[0] == results[1]
        assert isinstance(results[0], ExecutionResult)
        assert results[0].data == {
            "root": {"name": "root", "colour": None} if yes else {"length": 4}
        }


async def test_directives_do_not_make_unlimited_plans() -> None:
    names = [f"v{n}" for n in range(10)]
    repeated = " ".join(f"root @include(if: ${name}) {{ name }}" for name in names)
    source = f"query ({' '.join(f'${name}: Boolean!' for name in names)}) {{ {repeated} }}"
    document, plans = parse(source), Budget(500).plans()
    assert validate(SMALL, document) == []
    for number in range(1, 400):
        given = {name: bool(number >> n & 1) for n, name in enumerate(names)}
        options: dict[str, Any] = {"executor_class": PlannedExecutor, "plans": plans}
        result = execute(SMALL, document, variable_values=given, **options)
        assert result == ExecutionResult({"root": {"name": "root"}})
        assert 0 < len(plans._made) < 250


async def test_aliases_do_not_make_unlimited_plans() -> None:
    """Each of many aliases over one fragment has the fragment's inner plans, not its own."""
    aliases = " ".join(f"a{n}: root {{ ...F }}" for n in range(100))
    inner = "parts { __typename name colour length } best { name weight colour }"
    source = f"{{ {aliases} }} fragment F on Branch {{ name length {inner} }}"
    budget = Budget()
    plain, planned = await both(source, budget.plans())
    assert planned == plain
    # Four fields and a key for each alias; beyond that the two selections in the fragment, once.
    assert budget.spent < 100 * 8 + 40


async def test_fields_without_a_value_are_not_planned() -> None:
    plans = Budget().plans()
    plain, planned = await both("{ nothing { name } wrongType { name } }", plans)
    assert planned == plain
    assert len(plans._made) == 1


async def test_plans_are_dropped_when_the_budget_is_used_up() -> None:
    budget = Budget(10)
    one, other = budget.plans(), budget.plans()
    for plans in (one, other, one):
        plain, planned = await both("{ root { name length colour named } }", plans)
        assert planned == plain
        assert plans._made
    assert not other._made


async def test_fields_that_are_selected_twice_are_merged() -> None:
    source = """{ root { best { name } ...More best { again: name } parts { ... on Leaf { weight }
        ... on Branch { best { name } } __typename } } }
        fragment More on Branch { best { colour } }"""
    plain, planned = await both(source)
    assert planned == plain
    assert planned.data is not None
    assert planned.data["root"]["best"] == {"name": "plain", "colour": None, "again": "plain"}


@pytest.mark.parametrize("client", [True], indirect=True)
async def test_frequent_queries_are_planned_from_the_root(client: GraphQLClient) -> None:
    """Or it would be as slow as the library, and nothing else would show it."""
    started = await client.ask(
        commands.START_EXECUTION.document, OLIVIA, input={"workflow": "pay", "input": {"euros": 5}}
    )
    id_ = started["execution"]["id"]
    assignments = client.follow(leases.ASSIGNMENTS.document, ENGINE, worker="w")
    pending = client.follow(subscriptions.APPROVALS_STREAM.document, ANN, after="0")
    async with assignments as work, pending as asked:
        claim = (await anext(work))["claim"]
        request = {
            "executionId": id_,
            "fence": claim["fence"],
            "key": "pay",
            "title": "Pay?",
            "payload": {"euros": 5},
            "policy": {"requirements": [{"count": 1, "groups": ["finance"]}]},
        }
        [noted] = await client.ask(
            commands.NOTE.document, ENGINE, inputs=[{"requestApproval": request}]
        )
        approval = (await anext(asked))["approval"]
        assert approval["id"] == noted["approval"]["id"]
        decision = {"approvalId": approval["id"], "digest": approval["digest"]}
        await client.ask(commands.GRANT_APPROVAL.document, ANN, input=decision)
        assert (await anext(work))["resolved"]["status"] == "GRANTED"
    for document in (
        commands.START_EXECUTION.document,
        commands.NOTE.document,
        commands.GRANT_APPROVAL.document,
        leases.ASSIGNMENTS.document,
        subscriptions.APPROVALS_STREAM.document,
    ):
        operation = client.prepare(document)
        made = operation.plans._made
        assert made
        assert all(made.values())
