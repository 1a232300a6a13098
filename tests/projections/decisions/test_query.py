"""Decisions: one row each, also those that were taken back and those of the deadline."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from domain.approvals.policy import ExpiryAction
from domain.approvals.state import ApprovalStatus, Verdict
from domain.authorization import SERVICE
from domain.values import Principal
from projections.decisions.query import DecisionFilter, DecisionQuery
from projections.decisions.record import DecisionRecord
from projections.querying.keyset_pages import BadCursorError
from tests.domain.ask import needs, policy
from tests.domain.facts import (
    changes_requested,
    expired,
    granted,
    rejected,
    requested,
    resumed,
    retracted,
    revoked,
    started,
)
from tests.domain.people import ADAM, ANN, AUDREY, BOB, ENGINE, NOBODY, OLIVIA
from tests.projections.event_log import EventLog
from tests.projections.tables import TABLES, contents, project

Pool = AsyncConnectionPool[AsyncConnection[Any]]


@pytest.fixture
def told(event_log: EventLog) -> EventLog:
    log = event_log
    log.append(started(), requested(), granted("ann"), resumed())
    log.append(started(), requested(), rejected("bob"), resumed())
    log.append(started(workflow="other"), requested(), changes_requested("ann"), resumed())
    log.append(
        started(),
        requested(policy=policy(needs("finance", count=2))),
        granted("ann", resolves=False),
        retracted("ann"),
        granted("bob", resolves=False),
        granted("ann"),
        resumed(),
        revoked("ann"),
    )
    log.append(
        started(), requested(), expired(action=ExpiryAction.GRANT), resumed(), revoked(OLIVIA)
    )
    log.append(started(), requested(), expired(), resumed())
    return log


async def found(pool: Pool, by: Principal = AUDREY, **wanted: Any) -> list[DecisionRecord]:
    rows: list[DecisionRecord] = []
    after = None
    query, filter_ = DecisionQuery(pool), DecisionFilter(**wanted)
    while True:
        page = await query.page(by, filter_, first=2, after=after)
        rows += page.rows
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert await query.count(by, filter_) == len(rows)
    assert rows == sorted(
        rows, key=lambda r: (r.decided_at, r.execution_id, r.version), reverse=True
    )
    return rows


@pytest.mark.parametrize("batch", [1, 500])
async def test_each_decision_is_a_row_however_it_ended(
    pool: Pool, told: EventLog, batch: int
) -> None:
    project(told.url, batch=batch)
    rows = await found(pool)
    assert [(r.by.id, r.verdict, r.status, r.retracted_at is None) for r in reversed(rows)] == [
        ("ann", Verdict.GRANTED, ApprovalStatus.GRANTED, True),
        ("bob", Verdict.REJECTED, ApprovalStatus.REJECTED, True),
        ("ann", Verdict.CHANGES_REQUESTED, ApprovalStatus.CHANGES_REQUESTED, True),
        ("ann", Verdict.GRANTED, ApprovalStatus.REVOKED, False),
        ("bob", Verdict.GRANTED, ApprovalStatus.REVOKED, True),
        ("ann", Verdict.GRANTED, ApprovalStatus.REVOKED, True),
        (SERVICE.id, Verdict.GRANTED, ApprovalStatus.REVOKED, True),
    ]
    first = rows[-1]
    assert first.rule == "group:finance"
    assert first.groups == ("finance", "managers")
    assert first.asked_groups == ("finance",)
    assert first.took == timedelta(seconds=1)
    assert rows[0].rule == "deadline"
    assert rows[0].revoked_at is not None


def test_it_does_not_matter_how_the_events_came(told: EventLog) -> None:
    project(told.url, batch=1)
    one_by_one = contents(told.url)
    with psycopg.connect(told.url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {', '.join(TABLES)}")
        connection.execute("UPDATE projection_positions SET position = 0")
    project(told.url)
    assert contents(told.url)["decisions"] == one_by_one["decisions"]


async def test_decisions_are_found_by_each_condition(pool: Pool, told: EventLog) -> None:
    project(told.url)
    every = await found(pool)
    times = [row.decided_at for row in every]
    for wanted, number in (
        ({"people": ("ann",)}, 4),
        ({"people": ("ann", "bob")}, 6),
        ({"people": ("nobody",)}, 0),
        ({"on_behalf_of": ("ann",)}, 0),
        ({"groups": ("finance",)}, 6),
        ({"groups": ("managers",)}, 0),
        ({"rules": ("deadline",)}, 1),
        ({"rules": ("group:finance", "deadline")}, 7),
        ({"workflows": ("other",)}, 1),
        ({"workflows": ("other", "travel"), "people": ("ann", "bob")}, 6),
        ({"execution_id": every[1].execution_id}, 3),
        ({"verdicts": (Verdict.REJECTED,)}, 1),
        ({"verdicts": (Verdict.REJECTED, Verdict.CHANGES_REQUESTED)}, 2),
        ({"since": times[2]}, 3),
        ({"until": times[2]}, 5),
        ({"since": times[3], "until": times[2]}, 2),
    ):
        assert len(await found(pool, **wanted)) == number, wanted


async def test_approvers_read_their_own_and_engines_none(pool: Pool, told: EventLog) -> None:
    project(told.url)
    assert {row.by.id for row in await found(pool, ANN)} == {"ann"}
    assert await found(pool, ANN, people=("bob",)) == []
    assert {row.by.id for row in await found(pool, BOB)} == {"bob"}
    assert len(await found(pool, OLIVIA)) == len(await found(pool, ADAM)) == 7
    assert await found(pool, NOBODY) == await found(pool, ENGINE) == []


async def test_a_made_up_cursor_is_refused(pool: Pool, told: EventLog) -> None:
    project(told.url)
    for cursor in ("x", "WyJERUNJREVEX0FTQyJd", ""):
        with pytest.raises(BadCursorError):
            await DecisionQuery(pool).page(ADAM, DecisionFilter(), first=1, after=cursor)
