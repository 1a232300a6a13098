"""How many approvals ended in which way on a day, and after what time."""

from collections import Counter
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.approvals.statistics import bucket_of, middle_of, percentile
from projections.registry import MODELS
from projections.runtime.rebuild import rebuild
from tests.domain.facts import (
    changes_requested,
    escalated,
    expired,
    granted,
    rejected,
    requested,
    revoked,
    started,
    withdrawn,
)
from tests.projections.event_log import EventLog
from tests.projections.tables import project

DAY = timedelta(days=1)


def counted(url: str) -> Counter[tuple[Any, str]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT day, outcome, sum(number)::int FROM approval_days GROUP BY 1, 2"
        ).fetchall()
    return Counter({(day, outcome): number for day, outcome, number in rows})


def test_each_ending_is_counted_on_its_day_and_what_waits_or_was_withdrawn_is_not(
    event_log: EventLog,
) -> None:
    first = event_log.append(started(), requested(), granted())
    event_log.append(started(), requested(), rejected())
    event_log.append(started(), requested(), withdrawn())
    event_log.append(started(), requested())
    event_log.clock_ahead = DAY
    event_log.append(started(), requested(), changes_requested())
    event_log.append(started(), requested(), granted())
    project(event_log.url)
    day = first.started_at.date()
    assert counted(event_log.url) == {
        (day, "GRANTED"): 1,
        (day, "REJECTED"): 1,
        (day + DAY, "CHANGES_REQUESTED"): 1,
        (day + DAY, "GRANTED"): 1,
    }


def test_a_grant_that_is_revoked_later_stays_a_grant_of_its_day(event_log: EventLog) -> None:
    state = event_log.append(started(), requested(), granted())
    project(event_log.url)
    before = counted(event_log.url)
    event_log.clock_ahead = DAY
    event_log.append(revoked(), to=state.id)
    project(event_log.url)
    assert counted(event_log.url) == before == {(state.started_at.date(), "GRANTED"): 1}


def test_an_escalation_counts_beside_how_the_approval_ends(event_log: EventLog) -> None:
    state = event_log.append(started(), requested(), escalated("directors"))
    project(event_log.url)
    day = state.started_at.date()
    assert counted(event_log.url) == {(day, "ESCALATED"): 1}
    event_log.append(expired(), to=state.id)
    project(event_log.url)
    assert counted(event_log.url) == {(day, "ESCALATED"): 1, (day, "EXPIRED"): 1}


@pytest.mark.parametrize("batch", [1, 3, 500])
def test_the_counts_do_not_depend_on_batches_and_a_rebuild_gives_the_same(
    event_log: EventLog, batch: int
) -> None:
    for ending in (granted(), rejected(), expired(), withdrawn()):
        event_log.append(started(), requested(), ending)
    project(event_log.url, batch=batch)
    found = counted(event_log.url)
    assert sum(found.values()) == 3
    rebuild(event_log.url, MODELS["approvals"])
    assert counted(event_log.url) == found


def test_verification_sees_a_total_that_somebody_changed(event_log: EventLog) -> None:
    event_log.append(started(), requested(), granted())
    project(event_log.url)
    with psycopg.connect(event_log.url) as connection:
        assert MODELS["approvals"].other_totals(connection) == 0
        connection.execute("UPDATE approval_days SET number = 7")
        assert MODELS["approvals"].other_totals(connection) == 1


@given(st.timedeltas(timedelta(milliseconds=1), timedelta(days=3650)))
def test_a_time_differs_from_the_middle_of_its_bucket_by_at_most_an_eighth(span: timedelta) -> None:
    assert abs(middle_of(bucket_of(span)) / span - 1) < 0.125


def test_percentiles_are_those_of_the_ranks() -> None:
    hour, week = bucket_of(timedelta(hours=1)), bucket_of(timedelta(days=7))
    counts = {hour: 9, week: 1}
    assert percentile(counts, 0.5) == percentile(counts, 0.9) == middle_of(hour)
    assert percentile(counts, 0.91) == middle_of(week)
    assert percentile({}, 0.5) is None


def test_what_was_decided_before_it_was_asked_took_the_least_time() -> None:
    # The clock of a database may be set back.
    assert bucket_of(timedelta(seconds=-5)) == bucket_of(timedelta(0))
