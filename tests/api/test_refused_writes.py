"""A database that answers but takes no writes: clients are told so, and nothing is left open."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from structlog.testing import capture_logs

from tests.api.whole_server import START, WholeServer
from tests.support.postgres import Postgres

BEAT = 'mutation { heartbeat(worker: "w") { __typename } }'
FULL, READ_ONLY = (
    ("53100", "the disk of the database is full"),
    (
        "25006",
        "the database is read-only",
    ),
)


@contextmanager
def refusing(url: str, table: str, code: str) -> Iterator[None]:
    """Have every insert into a table fail with an error of this SQLSTATE."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'secret path' USING ERRCODE = '{code}'; END $$"
        )
        connection.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION refuse()"
        )
        try:
            yield
        finally:
            connection.execute(f"DROP TRIGGER refuse ON {table}")


@pytest.mark.parametrize(("code", "reason"), [FULL, READ_ONLY])
async def test_a_command_is_unavailable_and_the_server_not_ready_until_a_write_is_taken(
    whole_server: WholeServer, code: str, reason: str
) -> None:
    body = {"query": START, "variables": {"input": {"workflow": "w"}}}
    with capture_logs() as lines:
        with refusing(whole_server.url, "execution_events", code):
            for _ in range(2):
                [error] = (await whole_server.post(body)).json()["errors"]
                assert error["extensions"] == {"code": "UNAVAILABLE"}
                assert error["message"] == f"{reason}; nothing was recorded, try again later"
            response = await whole_server.http.get("/readyz")
            assert response.status_code == 503
            assert response.json() == {"status": "not ready", "reason": reason}
            assert whole_server.recorded() == 0
        assert "errors" not in (await whole_server.post(body)).json()
        assert (await whole_server.http.get("/readyz")).status_code == 200
    said = [line["event"] for line in lines if line["event"].startswith("writes_")]
    assert said == ["writes_refused", "writes_accepted"]


@pytest.mark.parametrize(("code", "reason"), [FULL, READ_ONLY])
async def test_what_workers_write_beside_the_log_is_unavailable_too(
    whole_server: WholeServer, code: str, reason: str
) -> None:
    with refusing(whole_server.url, "worker_leases", code):
        [error] = (await whole_server.post({"query": BEAT}, "engine")).json()["errors"]
    assert error["extensions"] == {"code": "UNAVAILABLE"}
    assert error["message"] == f"{reason}; nothing was recorded, try again later"


async def test_a_read_only_database_is_not_ready(postgres: Postgres) -> None:
    url = postgres.create()
    async with WholeServer.open(url) as whole_server:
        with psycopg.connect(postgres.url(), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            admin.execute("SELECT pg_reload_conf()")
            response = await whole_server.http.get("/readyz")
            while response.status_code == 200:
                response = await whole_server.http.get("/readyz")
            assert response.json()["reason"] == READ_ONLY[1]
            [error] = (await whole_server.post({"query": BEAT}, "engine")).json()["errors"]
            assert error["extensions"] == {"code": "UNAVAILABLE"}
