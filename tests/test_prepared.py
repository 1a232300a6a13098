"""The databases that tests use one after another are as good as new."""

import psycopg
import pytest

from tests.api.whole_server import WholeServer
from tests.conftest import EMBEDDED, Servers
from tests.projections.tables import contents
from tests.support.prepared import Prepared

START = "INSERT INTO execution_events (originator_id, originator_version, topic, state)"
SEEN = """
    SELECT relname, pg_relation_size(oid),
        CASE relkind WHEN 'S' THEN pg_sequence_last_value(oid) WHEN 'r' THEN reltuples END
    FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname
"""


def seen(url: str) -> list[object]:
    with psycopg.connect(url) as connection:
        found = list(connection.execute(SEEN))
        positions = list(connection.execute("TABLE projection_positions"))
    return [*found, *positions, contents(url)]


@pytest.mark.both_servers
def test_a_database_is_empty_again_after_a_test(
    postgres_servers: Servers, postgres_kind: str
) -> None:
    # Of one that other tests have used, PostgreSQL may gather statistics meanwhile.
    prepared = Prepared(postgres_servers.get(postgres_kind))
    with prepared.database() as url:
        new = seen(url)
        other = psycopg.connect(url, autocommit=True)
        other.execute(f"{START} VALUES (gen_random_uuid(), 1, 't', '{{}}')")
        other.execute("UPDATE projection_positions SET position = 1")
        other.execute("DELETE FROM projection_positions WHERE name = 'children'")
        assert seen(url) != new
    with pytest.raises(psycopg.OperationalError), other:
        other.execute("SELECT 1")
    with prepared.database() as again:
        assert again == url
        assert seen(again) == new


async def test_a_database_that_a_whole_server_used_is_lent_again(postgres_servers: Servers) -> None:
    prepared = Prepared(postgres_servers.get(EMBEDDED))
    with prepared.database() as url:
        new = seen(url)
        async with WholeServer.open(url):
            pass
    with prepared.database() as again:
        assert again == url
        assert seen(again) == new


@pytest.mark.both_servers
@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE approvals ADD CONSTRAINT broken CHECK (ordinal < 2)",
        "ALTER TABLE approvals ALTER COLUMN ordinal SET STATISTICS 1",
        "CREATE TABLE another (id integer)",
        "CREATE SCHEMA another",
        "DROP INDEX execution_holds_claimable",
        "ANALYZE projection_positions",
        "ALTER DATABASE {} SET default_transaction_isolation = 'serializable'",
    ],
)
def test_a_database_whose_schema_a_test_changed_is_dropped(
    postgres_servers: Servers, postgres_kind: str, change: str
) -> None:
    prepared = postgres_servers.prepared(postgres_kind)
    with prepared.database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(change.format(connection.info.dbname).encode())
    with prepared.database() as another:
        assert another != url
