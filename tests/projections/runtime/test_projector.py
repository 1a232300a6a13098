from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
import structlog
from prometheus_client import REGISTRY
from structlog.typing import EventDict

from projections.querying.checkpoints import Checkpoints
from projections.registry import MODELS
from projections.runtime import projector as module
from projections.runtime.projector import Projector
from projections.runtime.rebuild import rebuild
from tests.domain.facts import completed, requested, started, step_completed
from tests.projections.log import Log
from tests.projections.runtime.test_event_feed import shuffled
from tests.projections.tables import assert_equal_to_fold
from tests.projections.until import until

Start = Callable[..., Projector]


@pytest.fixture
def begin(log: Log) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(**how: Any) -> Projector:
            projector = Projector(log.url, MODELS.values(), **{"poll": 0.05, **how})
            stack.callback(projector.close)
            projector.start()
            return projector

        yield start


@pytest.fixture
def said() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def positions(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT name, position FROM projection_positions").fetchall()
        return {name: position for name, position in found if name in MODELS}


def caught_up(log: Log) -> bool:
    return set(positions(log.url).values()) == {log.position}


def metric(name: str, model: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"model": model})


def test_it_projects_what_is_there_and_what_comes(log: Log, begin: Start) -> None:
    shuffled(log, 10)
    told = Checkpoints()
    projector = begin(checkpoints=told, poll=60, batch=7)
    until(lambda: caught_up(log))
    shuffled(log, 10, seed=2)
    projector.wake()
    until(lambda: caught_up(log))
    assert_equal_to_fold(log.url, log.states)
    until(lambda: set(projector.lag.values()) == {0})
    for name in MODELS:
        assert metric("placet_projection_lag_events", name) == 0
        assert metric("placet_projection_lag_seconds", name) == 0
        assert metric("placet_projection_stopped", name) == 0


def test_several_at_once_do_no_harm(log: Log, begin: Start, said: list[EventDict]) -> None:
    # Each takes itself for the leader, so nothing but the position keeps them apart.
    for seed in range(5):
        shuffled(log, 10, seed)
    for _ in range(3):
        begin(batch=4)
    until(lambda: caught_up(log))
    assert_equal_to_fold(log.url, log.states)
    assert said == []


def test_only_the_leader_projects_and_another_goes_on_when_it_leads(log: Log, begin: Start) -> None:
    leader = ["first"]
    told = Checkpoints()
    begin(leads=lambda: leader == ["first"])
    second = begin(leads=lambda: leader == ["second"], checkpoints=told)
    log.append(started())
    until(lambda: caught_up(log))
    leader[0] = "nobody"
    behind = log.append(started())
    # It follows how far the read models are, though it does not write them.
    until(lambda: set(second.lag.values()) == {1})
    assert not caught_up(log)
    leader[0] = "second"
    until(lambda: caught_up(log))
    assert behind.id in log.states
    assert_equal_to_fold(log.url, log.states)


def test_it_goes_on_after_its_connections_were_cut(
    log: Log, begin: Start, said: list[EventDict]
) -> None:
    log.append(started())
    begin()
    until(lambda: caught_up(log))
    with psycopg.connect(log.url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'placet-%'"
        )
    log.append(started(), requested())
    until(lambda: caught_up(log))
    assert_equal_to_fold(log.url, log.states)
    assert any("lost the database" in line["event"] for line in said)


def test_an_event_that_cannot_be_read_stops_the_models_and_is_told(
    log: Log, begin: Start, said: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.2)
    good = log.append(started(), step_completed())
    bad = log.append(completed(), to=good.id)
    with psycopg.connect(log.url) as connection:
        [(topic,)] = connection.execute(
            "UPDATE execution_events SET topic = 'execution.unheard.v1' WHERE notification_id = %s"
            " RETURNING 'execution.completed.v1'",
            [log.position],
        ).fetchall()
    begin()
    until(lambda: any(line["event"] == "projection stopped" for line in said))
    assert set(positions(log.url).values()) == {log.position - 1}
    line = next(line for line in said if line["event"] == "projection stopped")
    assert f"position {log.position}" in line["error"]
    assert "execution.unheard.v1" in line["error"]
    assert metric("placet_projection_stopped", "executions") == 1
    until(lambda: metric("placet_projection_lag_events", "approvals") == 1)
    with psycopg.connect(log.url) as connection:
        connection.execute(
            "UPDATE execution_events SET topic = %s WHERE notification_id = %s",
            [topic, log.position],
        )
    until(lambda: caught_up(log))
    assert_equal_to_fold(log.url, {bad.id: bad})
    until(lambda: metric("placet_projection_stopped", "executions") == 0)


def test_a_read_model_that_fails_does_not_stop_the_other(
    log: Log, begin: Start, said: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.2)
    with psycopg.connect(log.url) as connection:
        connection.execute("ALTER TABLE approvals ADD CONSTRAINT broken CHECK (ordinal < 2)")
    shuffled(log, 10)
    begin(batch=5)
    until(lambda: positions(log.url)["executions"] == log.position)
    until(lambda: any(line["event"] == "projection stopped" for line in said))
    assert positions(log.url)["approvals"] < log.position
    assert {line["model"] for line in said if "model" in line} == {"approvals"}
    with psycopg.connect(log.url) as connection:
        connection.execute("ALTER TABLE approvals DROP CONSTRAINT broken")
    shuffled(log, 10, seed=2)
    until(lambda: caught_up(log))
    assert_equal_to_fold(log.url, log.states)


def test_a_read_model_of_another_version_is_left_alone_until_it_is_rebuilt(
    log: Log, begin: Start, said: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.1)
    with psycopg.connect(log.url) as connection:
        connection.execute("UPDATE projection_positions SET version = 0 WHERE name = 'approvals'")
    log.append(started(), requested())
    begin()
    until(lambda: positions(log.url)["executions"] == log.position)
    assert positions(log.url)["approvals"] == 0
    assert any(line.get("model") == "approvals" for line in said)
    rebuild(log.url, MODELS["approvals"])
    log.append(started(), requested())
    until(lambda: caught_up(log))
    assert_equal_to_fold(log.url, log.states)
