"""Tables are created by who may, used by who may not, and what is wrong is one line."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from api.migration import NEEDED
from bench.stack import StackError
from placet import Engine, Run, require
from tests.conftest import EMBEDDED, TESTS, Servers
from tests.sdk.engines import started
from tests.sdk.people import People
from tests.support.forked import placet_server, stack
from tests.support.postgres import Postgres

OPERATIONS = (TESTS.parent / "docs" / "operations.md").read_text()


@pytest.fixture
def role(postgres_servers: Servers) -> Iterator[str]:
    """A role with no right but to connect."""
    name = f"app_{uuid4().hex[:8]}"
    with psycopg.connect(postgres_servers.get(EMBEDDED).url(), autocommit=True) as connection:
        connection.execute(SQL("CREATE ROLE {}").format(Identifier(name)))
        yield name
        connection.execute(SQL("DROP ROLE {}").format(Identifier(name)))


@pytest.fixture
def as_role(database_url: str, role: str) -> Iterator[str]:
    """The connection string of a database for that role."""
    yield make_conninfo(database_url, options=f"-c role={role}")
    with psycopg.connect(database_url) as connection:
        connection.execute(SQL("DROP OWNED BY {}").format(Identifier(role)))


@pytest.fixture
def granted(database_url: str, role: str, as_role: str) -> str:
    """The same, with all tables, and the rights that the documentation lists."""
    placet_server("migrate", database_url=database_url)
    [statements] = re.findall(r"```sql\n(GRANT .*?)```", OPERATIONS, re.DOTALL)
    with psycopg.connect(database_url) as connection:
        connection.execute(statements.replace("placet_app", role))
    return as_role


async def test_a_role_with_the_documented_rights_runs_a_whole_server(
    granted: str, database_url: str, tmp_path: Path
) -> None:
    with stack(tmp_path, database_url=granted) as server:
        engine = Engine(server.url, token=server.tokens["engine"], queues=["rights"])

        @engine.workflow
        async def child(run: Run) -> str:
            return await run.step(str, "of age")

        @engine.workflow
        async def parent(run: Run) -> str:
            await asyncio.gather(*(run.now() for _ in range(250)))  # Enough for a snapshot.
            await run.sleep(timedelta(milliseconds=1))
            clearance = await run.approval(
                "Pay", payload={"euros": 1}, policy=require(1, group="finance")
            )
            paid: str = await run.step(str, clearance.payload, clearance=clearance)
            return f"{paid} {await run.child('child')}"

        async with AsyncExitStack() as clients, engine:
            people = People(server, clients)
            id_ = await started(people, engine, "parent")
            [asked] = await people.pending(id_)
            await (await people.get("approver-a")).grant(asked)
            assert (await people.ended(id_)).result == "{'euros': 1} of age"
    log = (tmp_path / "server.log").read_text()
    assert "permission denied" not in log
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM execution_snapshots").fetchone() == (
            True,
        )
    assert "nothing was found" in placet_server("verify", database_url=granted)


def test_events_can_only_be_read_and_added(granted: str) -> None:
    with psycopg.connect(granted) as connection:
        for statement in (
            "UPDATE execution_events SET topic = ''",
            "DELETE FROM execution_events",
            "TRUNCATE execution_events",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)


def test_without_tables_a_role_that_may_not_create_them_is_told_to_migrate(
    as_role: str, role: str, tmp_path: Path
) -> None:
    for command in (("up", f"--data={tmp_path}", "--port=0"), ("migrate",), ("token", "list")):
        assert failure(*command, url=as_role) == (
            "placet-server: tables are missing or of another version, and the role"
            f" '{role}' may not create them; run `placet-server migrate` as the owner of the"
            " tables, and give this role the rights that docs/operations.md lists"
        )


def test_tables_of_another_version_are_not_used_by_such_a_role(
    granted: str, database_url: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE applied_schemas SET digest = 'another'")
    assert "run `placet-server migrate` as the owner" in failure("migrate", url=granted)
    placet_server("migrate", database_url=database_url)
    assert placet_server("migrate", database_url=granted) == "all tables are there\n"


@pytest.mark.parametrize(
    ("right", "name"),
    [
        ("INSERT ON execution_events", "INSERT on execution_events"),
        ("UPDATE ON execution_holds", "UPDATE on execution_holds"),
        (
            "USAGE ON SEQUENCE execution_events_notification_id_seq",
            "USAGE on public.execution_events_notification_id_seq",
        ),
    ],
)
def test_a_missing_right_is_named(
    right: str, name: str, granted: str, database_url: str, role: str
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(f"REVOKE {right} FROM {role}")
    assert failure("migrate", url=granted) == (
        f"placet-server: the role '{role}' lacks {name}; docs/operations.md lists the rights that"
        " it needs"
    )


def test_a_rebuilt_read_model_keeps_its_rights(granted: str, database_url: str) -> None:
    for name in ("executions", "approvals"):
        placet_server("rebuild", name, database_url=database_url)
    assert placet_server("migrate", database_url=granted) == "all tables are there\n"


def test_what_only_an_owner_may_do_is_one_line(granted: str) -> None:
    said = failure("rebuild", "executions", url=granted)
    assert "permission denied" in said
    assert "run this as the owner of the tables" in said


@pytest.mark.usefixtures("granted")
def test_the_rights_of_every_table_are_known(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r'"
        ).fetchall()
    assert {name for (name,) in tables} == {*NEEDED, "applied_schemas"}


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding_is_refused(
    encoding: str, postgres_servers: Servers
) -> None:
    with encoded(postgres_servers.get(EMBEDDED), encoding) as url:
        said = failure("migrate", url=url)
    assert f"has the encoding {encoding}, which can't store all texts" in said
    assert "CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0" in said


def test_a_schema_that_is_not_found_is_one_line(database_url: str) -> None:
    said = failure("migrate", url=make_conninfo(database_url, options="-c search_path=elsewhere"))
    assert "does not find the schema public" in said


class encoded:  # noqa: N801 - used as a function
    """A database of an encoding, dropped at the end."""

    def __init__(self, server: Postgres, encoding: str) -> None:
        self._server = server
        self._encoding = encoding
        self._name = f"encoded_{uuid4().hex[:8]}"

    def __enter__(self) -> str:
        with psycopg.connect(self._server.url(), autocommit=True) as connection:
            connection.execute(
                SQL(
                    "CREATE DATABASE {} TEMPLATE template0 LOCALE 'C' LOCALE_PROVIDER libc"
                    " ENCODING {}"
                ).format(Identifier(self._name), Identifier(self._encoding))
            )
        return self._server.url(self._name)

    def __exit__(self, *_: object) -> None:
        self._server.drop(self._server.url(self._name))


def failure(*arguments: str, url: str) -> str:
    """Run a command that must fail, and return the one line that it prints."""
    with pytest.raises(StackError) as raised:
        placet_server(*arguments, database_url=url)
    said = str(raised.value)
    assert "\n" not in said
    assert conninfo_to_dict(url)
    return said
