import threading
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from projections.executions.query import ExecutionFilter, ExecutionQuery
from projections.registry import MODELS
from projections.runtime.projector import Projector
from projections.runtime.rebuild import BusyError, rebuild
from projections.runtime.schema import migrate
from tests.domain.facts import requested, started, step_completed
from tests.domain.people import ADAM
from tests.projections.event_log import EventLog
from tests.projections.runtime.test_event_feed import shuffled
from tests.projections.runtime.test_projector import caught_up, positions
from tests.projections.tables import assert_equal_to_fold, contents, project
from tests.projections.until import until


@pytest.mark.parametrize("name", MODELS)
def test_a_rebuilt_read_model_is_as_it_was(event_log: EventLog, name: str) -> None:
    shuffled(event_log, 12)
    project(event_log.url)
    before = contents(event_log.url)
    reported: list[tuple[int, int]] = []
    rebuilt = rebuild(
        event_log.url, MODELS[name], batch=10, report=lambda *each: reported.append(each)
    )
    assert contents(event_log.url) == before
    assert rebuilt.position == event_log.position
    assert rebuilt.events == reported[-1][0]
    assert rebuilt.rate > 0
    with psycopg.connect(event_log.url) as connection:
        schemas = connection.execute(
            "SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%rebuild%'"
        )
        assert schemas.fetchone() == (0,)
    # The indexes have the names that a migration looks for.
    assert migrate(event_log.url, MODELS.values()) == ()


def test_a_rebuild_corrects_rows_that_were_changed_by_hand(event_log: EventLog) -> None:
    shuffled(event_log, 12)
    project(event_log.url)
    with psycopg.connect(event_log.url) as connection:
        connection.execute("DELETE FROM executions")
        connection.execute("DELETE FROM approvals")
    for each in MODELS:
        rebuild(event_log.url, MODELS[each])
    assert_equal_to_fold(event_log.url, event_log.states)


def test_a_read_model_that_lags_is_brought_up_with_the_log(event_log: EventLog) -> None:
    shuffled(event_log, 5)
    assert set(positions(event_log.url).values()) == {0}
    for name in MODELS:
        rebuild(event_log.url, MODELS[name])
    assert caught_up(event_log)
    assert_equal_to_fold(event_log.url, event_log.states)


async def test_reads_and_the_projector_go_on_meanwhile(
    event_log: EventLog, pool: AsyncConnectionPool[AsyncConnection[Any]]
) -> None:
    shuffled(event_log, 50)
    projector = Projector(event_log.url, MODELS.values(), poll=0.01, batch=20)
    executions = ExecutionQuery(pool)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(3):
                for name in MODELS:
                    rebuild(event_log.url, MODELS[name], batch=30)
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    with closing(projector):
        projector.start()
        until(lambda: caught_up(event_log))
        rebuilding = threading.Thread(target=work)
        rebuilding.start()
        reached = 0
        while rebuilding.is_alive():
            states = event_log.append_all(
                [(s.id, ()) for s in [event_log.append(started(), requested())]]
            )
            page = await executions.page(
                ADAM, ExecutionFilter(), first=1, at_least=event_log.position
            )
            assert page.rows[0].id == states[0].id
            assert page.position >= reached
            reached = page.position
        rebuilding.join()
        assert failures == []
        until(lambda: caught_up(event_log))
    assert_equal_to_fold(event_log.url, event_log.states)


def test_a_rebuild_waits_for_a_reader(event_log: EventLog) -> None:
    shuffled(event_log, 5)
    project(event_log.url)
    with psycopg.connect(event_log.url) as reader:
        reader.execute("SELECT * FROM executions")
        rebuilding = threading.Thread(target=rebuild, args=(event_log.url, MODELS["executions"]))
        rebuilding.start()
        rebuilding.join(1.5)
        assert rebuilding.is_alive()
        assert reader.execute("SELECT count(*) FROM executions").fetchone() == (5,)
    rebuilding.join()
    assert_equal_to_fold(event_log.url, event_log.states)


def test_an_interrupted_rebuild_can_be_run_again(event_log: EventLog) -> None:
    shuffled(event_log, 5)
    project(event_log.url)
    before = contents(event_log.url)

    def break_off(_events: int, _position: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(event_log.url, MODELS["executions"], batch=3, report=break_off)
    assert contents(event_log.url) == before
    with psycopg.connect(event_log.url) as connection:
        # What a process leaves behind that was killed.
        connection.execute("CREATE SCHEMA public_rebuild_executions")
        connection.execute("CREATE TABLE public_rebuild_executions.executions (id uuid)")
    rebuild(event_log.url, MODELS["executions"])
    assert contents(event_log.url) == before


def test_two_rebuilds_of_one_read_model_exclude_each_other(event_log: EventLog) -> None:
    shuffled(event_log, 5)

    def another(_events: int, _position: int) -> None:
        with pytest.raises(BusyError):
            rebuild(event_log.url, MODELS["executions"])

    rebuild(event_log.url, MODELS["executions"], report=another)


def test_an_event_that_cannot_be_read_leaves_out_its_execution_alone(event_log: EventLog) -> None:
    before = event_log.append(started(), requested())
    event_log.append(step_completed(), to=before.id)
    damaged = event_log.position
    shuffled(event_log, 5)
    with psycopg.connect(event_log.url) as connection:
        [(stored,)] = connection.execute(
            "SELECT state FROM execution_events WHERE notification_id = %s", [damaged]
        )
        _store(connection, damaged, b"{")
    for model in MODELS.values():
        assert rebuild(event_log.url, model).unreadable == 1
    assert_equal_to_fold(event_log.url, {**event_log.states, before.id: before})

    with psycopg.connect(event_log.url) as connection:
        _store(connection, damaged, stored)
    for model in MODELS.values():
        assert rebuild(event_log.url, model).unreadable == 0
    assert_equal_to_fold(event_log.url, event_log.states)
    with psycopg.connect(event_log.url) as connection:
        assert connection.execute("SELECT FROM projection_failures").fetchall() == []


def _store(connection: psycopg.Connection[Any], position: int, stored: bytes) -> None:
    connection.execute(
        "UPDATE execution_events SET state = %s WHERE notification_id = %s", [stored, position]
    )


def test_a_read_model_of_another_version_is_reported_and_rebuilt(event_log: EventLog) -> None:
    shuffled(event_log, 5)
    with psycopg.connect(event_log.url) as connection:
        connection.execute("UPDATE projection_positions SET version = 0 WHERE name = 'approvals'")
    assert migrate(event_log.url, MODELS.values()) == ("approvals",)
    rebuild(event_log.url, MODELS["approvals"])
    assert migrate(event_log.url, MODELS.values()) == ()
    assert positions(event_log.url)["approvals"] == event_log.position


def test_migrations_at_once_do_not_disturb_each_other(event_log: EventLog) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            migrate(event_log.url, MODELS.values())
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    with psycopg.connect(event_log.url) as connection:
        connection.execute(
            "DROP TABLE executions, execution_terms; DELETE FROM projection_positions"
        )
    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_swap_and_the_projector_do_not_wait_for_each_other(
    event_log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both take the tables before the position, so that the first attempt succeeds."""
    monkeypatch.setattr("projections.runtime.rebuild._SWAP_ATTEMPTS", 1)
    monkeypatch.setattr("projections.runtime.rebuild._SWAP_LOCK", "20s")
    shuffled(event_log, 10)
    projector = Projector(event_log.url, MODELS.values(), poll=0.001, batch=5)
    projector.start()
    writing, ended = threading.Event(), threading.Event()

    def write() -> None:
        while not ended.is_set():
            event_log.append(started())
            projector.wake()
            writing.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        writing.wait()
        for name in MODELS:
            for _ in range(3):
                rebuild(event_log.url, MODELS[name])
    finally:
        ended.set()
        writer.join()
        until(lambda: caught_up(event_log))
        projector.close()
    assert_equal_to_fold(event_log.url, event_log.states)


def test_a_read_model_that_gains_a_table_is_rebuilt_while_it_is_read(
    event_log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    shuffled(event_log, 5)
    project(event_log.url)
    model = MODELS["executions"]
    added = {name: str(text) for name, text in model._sql.items()}
    added["tables"] += ";\nCREATE TABLE IF NOT EXISTS execution_extras (id uuid PRIMARY KEY);"
    monkeypatch.setattr(model, "_sql", added)
    monkeypatch.setattr(model, "tables", (*model.tables, "execution_extras"))
    monkeypatch.setattr(model, "version", model.version + 1)
    assert migrate(event_log.url, MODELS.values()) == ("executions",)
    rebuild(event_log.url, model)
    with psycopg.connect(event_log.url) as connection:
        assert connection.execute("SELECT count(*) FROM execution_extras").fetchone() == (0,)
    assert_equal_to_fold(event_log.url, event_log.states)
