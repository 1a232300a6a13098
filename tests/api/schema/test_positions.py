"""Positions name their timeline: a database that was replaced by a copy is noticed by clients."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from graphql import GraphQLError
from psycopg.sql import SQL, Identifier

from api.errors import ApiError, known
from api.schema.paging import MAX_POSITION
from api.schema.positions import parse_position, position_text
from application.event_store.positions import LogPosition, PositionUnknownError
from tests.api.graphql_client import GraphQLClient
from tests.api.positions import number
from tests.application.server_process import step
from tests.domain.people import AUDREY
from tests.support.postgres import Postgres

EVENTS = """query ($after: String) { events(after: $after) {
    edges { cursor node { position version hash } } } }"""
FOLLOWED = "subscription ($after: String) { events(after: $after) { cursor event { position } } }"
APPROVALS = "subscription ($after: String) { approvals(after: $after) { cursor } }"
PAGE = "query ($atLeast: String) { %s(atLeast: $atLeast) { position } }"
OF_ONE = """subscription ($id: ID!, $after: Int, $hash: String) {
    executionEvents(executionId: $id, afterVersion: $after, afterHash: $hash) { version } }"""
PARTS = """query ($id: ID!, $after: String) { execution(id: $id) {
    events(after: $after) { edges { cursor node { version } } } } }"""
HASH = "0123456789abcdef" * 4


@pytest.mark.parametrize("digits", [1, 7, MAX_POSITION])
@pytest.mark.parametrize("hash_", [HASH, "0" * 64, "f" * 64])
def test_a_position_is_read_back_as_it_was_handed_out(digits: int, hash_: str) -> None:
    text = position_text(digits, hash_)
    assert text.isdecimal()
    assert parse_position(text, "after") == LogPosition(digits, hash_[:16])


def test_positions_are_ordered_as_numbers_whatever_their_events() -> None:
    texts = [position_text(9, "f" * 64), position_text(10, "0" * 64), position_text(11, HASH)]
    assert sorted(texts, key=int) == texts
    assert int(position_text(1, "0" * 64)) > MAX_POSITION


@pytest.mark.parametrize("plain", ["0", "7", str(MAX_POSITION)])
def test_plain_numbers_that_were_handed_out_before_stay_valid(plain: str) -> None:
    assert parse_position(plain, "after") == LogPosition(int(plain))
    assert position_text(int(plain), "") == plain


@pytest.mark.parametrize(
    "text", ["", "x", "1" * 20, "9" * 25, "9" * 40, f"{2**63}{'0' * 20}", "1" * 21 + "x", "٣" * 22]
)
def test_what_was_never_handed_out_is_a_bad_request(text: str) -> None:
    with pytest.raises(ApiError, match="not a value that this service has returned"):
        parse_position(text, "after")


class Timelines:
    """A client of a database, and one of a copy of it that went another way."""

    def __init__(self, here: GraphQLClient, there: GraphQLClient, execution_id: UUID) -> None:
        self.here = here
        self.there = there
        self.id = execution_id


@pytest.fixture
def copy_url(postgres_servers: Any, log_url: str) -> Iterator[str]:
    """The name of a copy of the database, which the test makes."""
    url = log_url.replace(name_of(log_url), f"{name_of(log_url)}_copy")
    yield url
    server: Postgres = postgres_servers.get("embedded")
    server.drop(url)


def name_of(url: str) -> str:
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    assert isinstance(name, str)
    return name


@asynccontextmanager
async def timelines(url: str, copy_url: str, server: Postgres) -> AsyncIterator[Timelines]:
    """Three events in common, then one more here and two others there."""
    async with GraphQLClient.open(url) as before:
        execution = await before.process.start()
        for key in ("one", "two"):
            await before.process.do(step(execution.id, key))
        await before.ask(PAGE % "executions", AUDREY, atLeast="3")
        await before.ask(PAGE % "approvals", AUDREY, atLeast="3")
    with psycopg.connect(server.url(), autocommit=True) as connection:
        copy = SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(copy.format(*map(Identifier, (name_of(copy_url), name_of(url)))))
    async with GraphQLClient.open(url) as here, GraphQLClient.open(copy_url) as there:
        await here.process.do(step(execution.id, "here"))
        await there.process.do(step(execution.id, "there"))
        await there.process.do(step(execution.id, "there too"))
        yield Timelines(here, there, execution.id)


@pytest.fixture
async def both(log_url: str, copy_url: str, postgres_servers: Any) -> AsyncIterator[Timelines]:
    async with timelines(log_url, copy_url, postgres_servers.get("embedded")) as both:
        yield both


async def cursors(client: GraphQLClient) -> list[str]:
    return [edge["cursor"] for edge in (await client.ask(EVENTS, AUDREY))["edges"]]


def code_of(error: Exception) -> str:
    """Return the code with which an error is answered."""
    answered = known(getattr(error, "original_error", None) or error)
    assert answered is not None, error
    code: str = (answered.extensions or {})["code"]
    return code


async def code(client: GraphQLClient, document: str, **variables: Any) -> str:
    result = await client.answer(AUDREY, document, **variables)
    [error] = result.errors or []
    return code_of(error)


async def refused(client: GraphQLClient, document: str, **variables: Any) -> str:
    async with client.follow(document, AUDREY, **variables) as stream:
        with pytest.raises((GraphQLError, PositionUnknownError)) as caught:
            await anext(stream)
    return code_of(caught.value)


async def test_a_cursor_of_another_timeline_is_refused(both: Timelines) -> None:
    *common, last = await cursors(both.here)
    assert common == (await cursors(both.there))[:3]
    assert number(last) == 4

    assert await code(both.there, EVENTS, after=last) == "POSITION_UNKNOWN"
    for document in (FOLLOWED, APPROVALS):
        assert await refused(both.there, document, after=last) == "POSITION_UNKNOWN"
    for name in ("executions", "approvals"):
        assert await code(both.there, PAGE % name, atLeast=last) == "POSITION_UNKNOWN"


async def test_a_cursor_from_before_the_copy_goes_on_without_a_gap(both: Timelines) -> None:
    common = (await cursors(both.here))[2]
    found = await both.there.ask(EVENTS, AUDREY, after=common)
    assert [edge["node"]["version"] for edge in found["edges"]] == [4, 5]
    async with both.there.follow(FOLLOWED, AUDREY, after=common) as stream:
        message = await anext(stream)
    assert number(message["cursor"]) == 4


async def test_a_cursor_beyond_the_end_of_the_log_is_refused(both: Timelines) -> None:
    last = (await cursors(both.there))[-1]
    for position in (last, "5", str(MAX_POSITION)):
        assert await code(both.here, EVENTS, after=position) == "POSITION_UNKNOWN"
        assert await refused(both.here, FOLLOWED, after=position) == "POSITION_UNKNOWN"
        for name in ("executions", "approvals"):
            assert await code(both.here, PAGE % name, atLeast=position) == "POSITION_UNKNOWN"


async def test_a_plain_number_is_taken_as_the_position_in_this_timeline(both: Timelines) -> None:
    found = await both.there.ask(EVENTS, AUDREY, after="4")
    assert [edge["node"]["version"] for edge in found["edges"]] == [5]
    assert len((await both.there.ask(EVENTS, AUDREY, after="0"))["edges"]) == 5


async def test_the_position_of_a_page_is_one_of_its_timeline(both: Timelines) -> None:
    for name in ("executions", "approvals"):
        page = await both.here.ask(PAGE % name, AUDREY, atLeast="4")
        assert page["position"] == (await cursors(both.here))[3]


async def test_a_position_that_is_no_longer_in_memory_is_compared_too(both: Timelines) -> None:
    last, there = (await cursors(both.here))[-1], both.there
    there.process.recent.forget()
    assert await code(there, EVENTS, after=last) == "POSITION_UNKNOWN"
    assert len((await there.ask(EVENTS, AUDREY, after=(await cursors(there))[1]))["edges"]) == 3


async def test_a_version_of_another_timeline_is_refused(both: Timelines) -> None:
    edges = (await both.here.ask(EVENTS, AUDREY))["edges"]
    third, last = edges[2]["node"]["hash"], edges[3]["node"]["hash"]
    of_one = {"id": str(both.id)}

    assert await refused(both.there, OF_ONE, **of_one, after=4, hash=last) == "POSITION_UNKNOWN"
    assert await refused(both.here, OF_ONE, **of_one, after=5) == "POSITION_UNKNOWN"
    assert await refused(both.here, OF_ONE, **of_one, hash=last) == "BAD_REQUEST"
    async with both.there.follow(OF_ONE, AUDREY, **of_one, after=3, hash=third) as stream:
        assert (await anext(stream))["version"] == 4


async def test_a_cursor_of_an_execution_names_its_event_too(both: Timelines) -> None:
    here = await both.here.ask(PARTS, AUDREY, id=str(both.id))
    *_, third, last = [edge["cursor"] for edge in here["events"]["edges"]]

    assert await code(both.there, PARTS, id=str(both.id), after=last) == "POSITION_UNKNOWN"
    found = await both.there.ask(PARTS, AUDREY, id=str(both.id), after=third)
    assert [edge["node"]["version"] for edge in found["events"]["edges"]] == [4, 5]
