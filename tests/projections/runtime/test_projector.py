from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

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
from tests.domain.facts import completed, granted, requested, resumed, started, step_completed
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


class Unheard:
    """An execution of which an event in the middle has a topic that no server has heard of."""

    def __init__(self, event_log: EventLog) -> None:
        self._log = event_log
        self.before = event_log.append(started(), requested(), step_completed())
        self.id = self.before.id
        event_log.append(granted(), resumed(), to=self.id)
        self._position = event_log.position
        self._rename("execution.approval-granted.v2", "execution.unheard.v1")

    def become_known(self) -> None:
        self._rename("execution.unheard.v1", "execution.approval-granted.v2")

    def _rename(self, old: str, new: str) -> None:
        with psycopg.connect(self._log.url) as connection:
            renamed = connection.execute(
                "UPDATE execution_events SET topic = %s"
                " WHERE notification_id <= %s AND originator_id = %s AND topic = %s",
                [new, self._position, self.id, old],
            )
            assert renamed.rowcount == 1


def failures(url: str) -> set[tuple[str, UUID]]:
    with psycopg.connect(url) as connection:
        return set(connection.execute("SELECT model, execution_id FROM projection_failures"))


def logged(log_entries: list[EventDict], event: str) -> list[EventDict]:
    return [line for line in log_entries if line["event"] == event]


def test_an_unreadable_event_fails_its_execution_alone(
    event_log: EventLog, begin: Start, log_entries: list[EventDict]
) -> None:
    unheard = Unheard(event_log)
    begin(batch=3)
    event_log.append(completed(), to=unheard.id)
    shuffled(event_log, 10)
    until(lambda: caught_up(event_log))

    assert_equal_to_fold(event_log.url, {**event_log.states, unheard.id: unheard.before})
    assert failures(event_log.url) == {(name, unheard.id) for name in MODELS}
    [line] = logged(log_entries, "execution_unreadable")
    assert (line["id"], line["version"]) == (str(unheard.id), unheard.before.version + 1)
    assert "execution.unheard.v1" in line["error"]
    for name in MODELS:
        assert metric("placet_projection_unreadable_executions", name) == 1
        assert metric("placet_projection_stopped", name) == 0


def test_after_a_restart_an_unreadable_execution_is_passed_over_and_not_logged_again(
    event_log: EventLog, begin: Start, log_entries: list[EventDict]
) -> None:
    unheard = Unheard(event_log)
    first = begin()
    until(lambda: caught_up(event_log))
    first.close()
    begin()
    event_log.append(completed(), to=unheard.id)
    event_log.append(started())
    until(lambda: caught_up(event_log))

    assert_equal_to_fold(event_log.url, {**event_log.states, unheard.id: unheard.before})
    assert len(logged(log_entries, "execution_unreadable")) == 1
    assert metric("placet_projection_unreadable_executions", "approvals") == 1


def test_a_server_that_can_read_the_event_projects_the_execution_again(
    event_log: EventLog, begin: Start, log_entries: list[EventDict]
) -> None:
    unheard = Unheard(event_log)
    event_log.append(completed(), to=unheard.id)
    first = begin()
    until(lambda: caught_up(event_log))
    first.close()
    assert failures(event_log.url)

    unheard.become_known()
    begin()
    until(lambda: not failures(event_log.url))

    assert_equal_to_fold(event_log.url, event_log.states)
    assert [line["id"] for line in logged(log_entries, "execution_readable_again")] == [
        str(unheard.id)
    ]
    assert metric("placet_projection_unreadable_executions", "executions") == 0
    event_log.append(started())
    until(lambda: caught_up(event_log))
    assert_equal_to_fold(event_log.url, event_log.states)


def test_an_execution_that_was_repaired_is_projected_again_without_a_restart(
    event_log: EventLog, begin: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEAL", 0.1)
    monkeypatch.setattr(module, "HEAL_AT_ONCE", 1)
    unheard = [Unheard(event_log) for _ in range(3)]
    begin()
    until(lambda: caught_up(event_log))
    unheard[2].become_known()
    until(lambda: len(failures(event_log.url)) == 2 * len(MODELS))
    for each in unheard[:2]:
        event_log.append(completed(), to=each.id)
        each.become_known()
    until(lambda: not failures(event_log.url))
    until(lambda: caught_up(event_log))
    assert_equal_to_fold(event_log.url, event_log.states)


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
