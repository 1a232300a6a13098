"""The library's own tests of recorders, and the log's lock."""

from collections.abc import Iterator
from typing import Any
from unittest import defaultTestLoader

import psycopg
import pytest
from eventsourcing.tests.persistence import (
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)

from application.event_store.store import ExecutionEventStore

pytestmark = pytest.mark.both_servers


def _cases() -> Iterator[Any]:
    """Make the library's cases out of the sight of pytest, which could not give a database."""
    for base in (ApplicationRecorderTestCase, NonInterleavingNotificationIDsBaseCase):
        kind: Any = type(base.__name__, (base,), {"create_recorder": lambda self: self.recorder})
        cases: Any = defaultTestLoader.loadTestsFromTestCase(kind)
        for case in cases:
            yield pytest.param(case, id=case.id().rsplit(".", 2)[-1])


@pytest.mark.parametrize("case", list(_cases()))
def test_the_library_s_own_tests_pass(case: Any, log_url: str) -> None:
    log = ExecutionEventStore(log_url)
    case.recorder = log.log_recorder
    try:
        case.debug()
    finally:
        log.close()


async def test_the_lock_does_not_conflict_with_vacuum(log_url: str) -> None:
    log = ExecutionEventStore(log_url)
    with psycopg.connect(log_url, autocommit=True) as other:
        holder = await log.log_recorder.connect()
        await log.log_recorder.begin(holder)
        other.execute("SET lock_timeout = '1s'")
        other.execute("VACUUM ANALYZE execution_events")
        await holder.close()
    log.close()


async def test_every_part_of_the_connection_string_reaches_the_driver(log_url: str) -> None:
    log = ExecutionEventStore(
        psycopg.conninfo.make_conninfo(log_url, application_name="by-conninfo")
    )
    with log.log_recorder.datastore.get_connection() as connection:
        assert connection.info.get_parameters()["application_name"] == "by-conninfo"
    own = await log.log_recorder.connect()
    assert own.info.get_parameters()["application_name"] == "by-conninfo"
    await own.close()
    log.close()


def test_creating_existing_tables_logs_no_error_in_postgresql(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors that are suppressed are logged by PostgreSQL all the same."""
    refused: list[str] = []
    execute = psycopg.Cursor.execute

    def noting(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return execute(cursor, query, *arguments, **options)
        except psycopg.Error as error:
            refused.append(str(error))
            raise

    monkeypatch.setattr(psycopg.Cursor, "execute", noting)
    for _ in range(2):
        ExecutionEventStore(log_url, create_table=True).close()
    assert refused == []
