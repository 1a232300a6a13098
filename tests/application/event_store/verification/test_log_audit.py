"""The audit finds each manipulation, and nothing in an untouched log."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from api.migration import migrate
from application.event_store.verification.log_audit import Verification
from domain.execution.events import Started
from projections.registry import MODELS
from projections.runtime.audit import ReadModelAudit
from tests.application.event_store.verification.manipulation import Manipulation, set_event
from tests.application.event_store.verification.manipulations import MANIPULATIONS
from tests.application.event_store.verification.rewriting import alter, append, rewrite
from tests.application.event_store.verification.story import Told, tell
from tests.projections.tables import TABLES


@pytest.fixture(scope="module")
def told(module_database_url: str) -> Told:
    migrate(module_database_url)
    return Told(module_database_url, tell(module_database_url))


@pytest.fixture
def connection(told: Told) -> Iterator[Connection[Any]]:
    """A transaction that is rolled back."""
    with psycopg.connect(told.url) as connection:
        yield connection
        connection.rollback()


def verification(url: str) -> Verification:
    return Verification(url, [ReadModelAudit(model) for model in MODELS.values()])


def test_an_untouched_log_is_sound(told: Told) -> None:
    audit = verification(told.url)
    assert [str(finding) for finding in audit.findings()] == []
    assert (audit.executions, audit.standing_grants, audit.people) == (len(told.story) - 2, 1, 1)
    said = "\n".join(audit.checked())
    for counted in (
        f"{audit.events} events of {audit.executions} executions",
        "10 requests for approval",
        "8 decisions against the frozen policy",
        "1 amendments",
        "1 redemptions",
        "1 children",
        "2 rows of start_keys",
        "2 rows of execution_timers",
        "1 snapshots",
        "1 decisions of substitutes",
        "1 standing grants and 1 uses of them",
        "1 rows of open_standing_grants",
        "1 people: who recorded them, and 1 rows of people and 1 rows of substitutes",
        f"{audit.executions} rows of the read model executions",
    ):
        assert counted in said


@pytest.mark.parametrize("case", [pytest.param(m, id=m.sentence) for m in MANIPULATIONS])
def test_a_manipulation_is_found(
    case: Manipulation, told: Told, connection: Connection[Any]
) -> None:
    case.do(connection, told.story)
    found = list(verification(told.url).read(connection))
    named = [
        finding
        for finding in found
        if finding.kind == case.kind
        and case.said in finding.message
        and (case.of is None or finding.execution_id == told.story[case.of])
    ]
    assert named, [str(finding) for finding in found]


def test_a_finding_is_one_line(told: Told, connection: Connection[Any]) -> None:
    connection.execute("UPDATE start_keys SET key = E'a\\nb' WHERE key = 'trip-1'")
    for finding in verification(told.url).read(connection):
        assert "\n" not in str(finding)
        assert str(finding).startswith(f"start_keys: execution {told.story['permit']} version 9 (")


def test_a_change_of_one_execution_is_not_found_in_others(
    told: Told, connection: Connection[Any]
) -> None:
    rewrite(connection, told.story["permit"], alter(5, resolves=True))
    found = list(verification(told.url).read(connection))
    assert {finding.execution_id for finding in found} == {told.story["permit"]}


def test_a_read_model_of_another_version_is_skipped(
    told: Told, connection: Connection[Any]
) -> None:
    connection.execute("UPDATE projection_positions SET version = 99 WHERE name = 'approvals'")
    audit = verification(told.url)
    assert list(audit.read(connection)) == []
    assert any("approvals was not checked" in note for note in audit.notes())


def test_a_read_model_that_is_behind_is_compared_where_it_is(
    told: Told, connection: Connection[Any]
) -> None:
    for table in TABLES:
        connection.execute(psycopg.sql.SQL("DELETE FROM {}").format(psycopg.sql.Identifier(table)))
    connection.execute(
        "UPDATE projection_positions SET position = 0"
        " WHERE name NOT IN ('children', 'standing_grant_uses')"
    )
    assert list(verification(told.url).read(connection)) == []


def test_a_gap_is_a_note(told: Told, connection: Connection[Any]) -> None:
    connection.execute("ALTER SEQUENCE execution_events_notification_id_seq RESTART WITH 100000")
    rewrite(connection, told.story["new"], append(Started(workflow="x", queue="y")))
    audit = verification(told.url)
    list(audit.read(connection))
    assert any("in 1 gaps have no event" in note for note in audit.notes())


def test_an_execution_whose_state_is_unknown_is_counted(
    told: Told, connection: Connection[Any]
) -> None:
    connection.execute(set_event("waiting", 2, "state = 'x'"), told.story)
    audit = verification(told.url)
    assert {finding.kind for finding in audit.read(connection)} == {"event"}
    assert any("the state of 1 executions is not known" in note for note in audit.notes())
