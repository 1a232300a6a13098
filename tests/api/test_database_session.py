"""Sessions of the server do not depend on how a role, a database or the environment is set."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier, Literal

from api.database_session import session_conninfo, without_setting_variables
from placet import ExecutionFilter, ExecutionState, require
from tests.sdk.people import People
from tests.support.forked import placet_server, stack

OTHERS = {
    "datestyle": "German, DMY",
    "intervalstyle": "sql_standard",
    "timezone": "Asia/Kathmandu",
    "client_encoding": "LATIN1",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "standard_conforming_strings": "off",
    "backslash_quote": "on",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "quote_all_identifiers": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "gin_fuzzy_search_limit": "1",
    "row_security": "on",
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "1ms",
}
WORDS = "Ærø, 日本, \\ and 'quotes'"


@pytest.fixture
def odd_url(database_url: str) -> str:
    """A database on which every setting that the server relies on has another value."""
    name = Identifier(str(conninfo_to_dict(database_url)["dbname"]))
    with psycopg.connect(database_url, autocommit=True) as connection:
        for setting, value in OTHERS.items():
            connection.execute(
                SQL("ALTER DATABASE {} SET {} = {}").format(
                    name, Identifier(setting), Literal(value)
                )
            )
    return database_url


@pytest.fixture
def odd_environment(odd_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, with an environment that sets them too."""
    monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
    monkeypatch.setenv("PGTZ", "Asia/Kathmandu")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=1 -c standard_conforming_strings=off")
    return odd_url


@pytest.mark.both_servers
def test_each_setting_that_the_server_relies_on_is_set_in_the_session(
    odd_environment: str,
) -> None:
    with without_setting_variables():
        with psycopg.connect(database_of_tests(odd_environment)) as plain:
            expected = {name: shown(plain, name) for name in OTHERS}
        with psycopg.connect(session_conninfo(odd_environment)) as connection:
            assert {name: shown(connection, name) for name in OTHERS} == expected


def test_a_setting_of_the_connection_string_stays(database_url: str) -> None:
    given = psycopg.conninfo.make_conninfo(database_url, options="-c work_mem=8MB")
    with psycopg.connect(session_conninfo(given)) as connection:
        assert shown(connection, "work_mem") == "8MB"
        assert shown(connection, "datestyle").startswith("ISO")


async def test_a_server_works_whatever_the_settings_of_its_database(
    odd_environment: str, tmp_path: Path
) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    with stack(tmp_path, database_url=odd_environment) as server:
        async with AsyncExitStack() as clients:
            people = People(server, clients)
            operator, engine = await people.get("operator"), await people.get("engine")
            approver = await people.get("approver-a")
            id_ = await people.start("odd", {"words": WORDS})
            await engine.set_timer(id_, "soon", delay=timedelta(milliseconds=1))
            asked = await engine.request_approval(
                id_, "pay", WORDS, payload={"words": WORDS}, policy=require(1, group="finance")
            )
            assert asked.approval is not None
            await approver.grant(asked.approval, comment=WORDS)
            await engine.redeem(asked.approval.id, {"words": WORDS}, "used")
            done = await engine.complete(id_, {"words": WORDS})
            page = await operator.executions(
                ExecutionFilter(state=[ExecutionState.COMPLETED], started_after=before),
                at_least=done.position,
            )
            assert [(each.id, each.result) for each in page] == [(id_, {"words": WORDS})]
    assert "nothing was found" in placet_server("verify", database_url=odd_environment)
    assert "executions: " in placet_server("rebuild", "executions", database_url=odd_environment)


@pytest.mark.parametrize(
    "variable",
    [
        {"PGHOSTADDR": "192.0.2.1"},
        {"PGSERVICE": "elsewhere"},
        {"PGOPTIONS": "-c default_transaction_read_only=on"},
        {"PGTARGETSESSIONATTRS": "standby"},
        {"PGREQUIREAUTH": "scram-sha-256"},
        {"PGGSSENCMODE": "require"},
        {"PGSSLMODE": "verify-full", "PGCHANNELBINDING": "require"},
        {"PGDATABASE": "elsewhere", "PGUSER": "someone", "PGPASSWORD": "x", "PGPORT": "1"},
    ],
    ids=lambda variable: next(iter(variable)),
)
def test_the_environment_of_libpq_does_not_reach_the_embedded_database(
    variable: dict[str, str], embedded_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    assert placet_server("migrate", f"--data={embedded_data}") == "all tables are there\n"


@pytest.fixture(scope="module")
def embedded_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a running server with an embedded database."""
    with stack(tmp_path_factory.mktemp("embedded")) as server:
        yield server.data


def database_of_tests(url: str) -> str:
    """Return the connection string of a database that nobody has set otherwise."""
    return session_conninfo(psycopg.conninfo.make_conninfo(url, dbname="postgres"))


def shown(connection: psycopg.Connection[tuple[str]], setting: str) -> str:
    row = connection.execute(SQL("SHOW {}").format(Identifier(setting))).fetchone()
    assert row is not None
    return row[0]
