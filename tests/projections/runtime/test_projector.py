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
from tests.projections.event_log import EventLog
from tests.projections.runtime.test_event_feed import shuffled
from tests.projections.tables import assert_equal_to_fold
from tests.projections.until import until

Start = Callable[..., Projector]


@pytest.fixture
def begin(event_log: EventLog) -> Iterator[Start]:
    with ExitStack() as stack:

        def start(**how: Any) -> Projector:
            projector = Projector(event_log.url, MODELS.values(), **{"poll": 0.05, **how})
            stack.callback(projector.close)
            projector.start()
            return projector

        yield start


@pytest.fixture
def log_entries() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def positions(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT name, position FROM projection_positions").fetchall()
        return {name: position for name, position in found if name in MODELS}


def caught_up(event_log: EventLog) -> bool:
    return set(positions(event_log.url).values()) == {event_log.position}


def metric(name: str, model: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"model": model})


def test_it_projects_existing_and_new_events(event_log: EventLog, begin: Start) -> None:
    shuffled(event_log, 10)
    told = Checkpoints()
    projector = begin(checkpoints=told, poll=60, batch=7)
    until(lambda: caught_up(event_log))
    shuffled(event_log, 10, seed=2)
    projector.wake()
    until(lambda: caught_up(event_log))
    assert_equal_to_fold(event_log.url, event_log.states)
    until(lambda: set(projector.lag.values()) == {0})
    for name in MODELS:
        assert metric("placet_projection_lag_events", name) == 0
        assert metric("placet_projection_lag_seconds", name) == 0
        assert metric("placet_projection_stopped", name) == 0


def test_several_projectors_at_once_are_harmless(
    event_log: EventLog, begin: Start, log_entries: list[EventDict]
) -> None:
    # Each takes itself for the leader, so nothing but the position keeps them apart.
    for seed in range(5):
        shuffled(event_log, 10, seed)
    for _ in range(3):
        begin(batch=4)
    until(lambda: caught_up(event_log))
    assert_equal_to_fold(event_log.url, event_log.states)
    assert log_entries == []


def test_only_the_leader_projects_and_another_goes_on_when_it_leads(
    event_log: EventLog, begin: Start
) -> None:
    leader = ["first"]
    told = Checkpoints()
    begin(leads=lambda: leader == ["first"])
    second = begin(leads=lambda: leader == ["second"], checkpoints=told)
    event_log.append(started())
    until(lambda: caught_up(event_log))
    leader[0] = "nobody"
    behind = event_log.append(started())
    # It follows how far the read models are, though it does not write them.
    until(lambda: set(second.lag.values()) == {1})
    assert not caught_up(event_log)
    leader[0] = "second"
    until(lambda: caught_up(event_log))
    assert behind.id in event_log.states
    assert_equal_to_fold(event_log.url, event_log.states)


def test_it_goes_on_after_its_connections_were_cut(
    event_log: EventLog, begin: Start, log_entries: list[EventDict]
) -> None:
    event_log.append(started())
    begin()
    until(lambda: caught_up(event_log))
    with psycopg.connect(event_log.url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'placet-%'"
        )
    event_log.append(started(), requested())
    until(lambda: caught_up(event_log))
    assert_equal_to_fold(event_log.url, event_log.states)
    assert any(line["event"] == "projector_unreachable" for line in log_entries)


def test_an_unreadable_event_stops_the_models_and_is_logged(
    event_log: EventLog, begin: Start, log_entries: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.2)
    good = event_log.append(started(), step_completed())
    bad = event_log.append(completed(), to=good.id)
    with psycopg.connect(event_log.url) as connection:
        [(topic,)] = connection.execute(
            "UPDATE execution_events SET topic = 'execution.unheard.v1' WHERE notification_id = %s"
            " RETURNING 'execution.completed.v1'",
            [event_log.position],
        ).fetchall()
    begin()
    until(lambda: any(line["event"] == "projection_stopped" for line in log_entries))
    assert set(positions(event_log.url).values()) == {event_log.position - 1}
    line = next(line for line in log_entries if line["event"] == "projection_stopped")
    assert f"position {event_log.position}" in line["error"]
    assert "execution.unheard.v1" in line["error"]
    assert metric("placet_projection_stopped", "executions") == 1
    until(lambda: metric("placet_projection_lag_events", "approvals") == 1)
    with psycopg.connect(event_log.url) as connection:
        connection.execute(
            "UPDATE execution_events SET topic = %s WHERE notification_id = %s",
            [topic, event_log.position],
        )
    until(lambda: caught_up(event_log))
    assert_equal_to_fold(event_log.url, {bad.id: bad})
    until(lambda: metric("placet_projection_stopped", "executions") == 0)


def test_a_read_model_that_fails_does_not_stop_the_other(
    event_log: EventLog, begin: Start, log_entries: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.2)
    with psycopg.connect(event_log.url) as connection:
        connection.execute("ALTER TABLE approvals ADD CONSTRAINT broken CHECK (ordinal < 2)")
    shuffled(event_log, 10)
    begin(batch=5)
    until(lambda: positions(event_log.url)["executions"] == event_log.position)
    until(lambda: any(line["event"] == "projection_stopped" for line in log_entries))
    assert positions(event_log.url)["approvals"] < event_log.position
    assert {line["model"] for line in log_entries if "model" in line} == {"approvals"}
    with psycopg.connect(event_log.url) as connection:
        connection.execute("ALTER TABLE approvals DROP CONSTRAINT broken")
    shuffled(event_log, 10, seed=2)
    until(lambda: caught_up(event_log))
    assert_equal_to_fold(event_log.url, event_log.states)


def test_a_read_model_of_another_version_is_left_alone_until_it_is_rebuilt(
    event_log: EventLog, begin: Start, log_entries: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY", 0.1)
    with psycopg.connect(event_log.url) as connection:
        connection.execute("UPDATE projection_positions SET version = 0 WHERE name = 'approvals'")
    event_log.append(started(), requested())
    begin()
    until(lambda: positions(event_log.url)["executions"] == event_log.position)
    assert positions(event_log.url)["approvals"] == 0
    assert any(line.get("model") == "approvals" for line in log_entries)
    rebuild(event_log.url, MODELS["approvals"])
    event_log.append(started(), requested())
    until(lambda: caught_up(event_log))
    assert_equal_to_fold(event_log.url, event_log.states)
