"""What was pending at a moment: exactly what the log says, whatever came later."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from application.event_store.reader import Reader
from application.event_store.recent_events import RecentEvents
from domain.approvals.quorum import outstanding
from domain.approvals.state import Approval, ApprovalStatus
from domain.values import Principal
from projections.approvals.past_query import PastApprovalQuery
from projections.approvals.query import ApprovalFilter, ApprovalOrder
from projections.approvals.span_classes import LONGEST, span_class
from projections.querying.keyset_pages import BadFilterError
from tests.domain.ask import needs, policy
from tests.domain.facts import (
    Fact,
    claimed,
    completed,
    delegated,
    granted,
    redeemed,
    rejected,
    requested,
    resumed,
    retracted,
    revoked,
    started,
    withdrawn,
)
from tests.domain.people import ADAM, AUDREY, BOB, CLEO
from tests.projections.event_log import EventLog
from tests.projections.tables import project

Pool = AsyncConnectionPool[AsyncConnection[Any]]
BY_TWO = policy(needs("finance", count=2))
STORIES: dict[str, Sequence[Fact]] = {
    "still pending": (started(), requested(policy=BY_TWO), granted(resolves=False)),
    "taken back": (
        started(),
        requested(policy=BY_TWO),
        granted(resolves=False),
        retracted(),
        delegated("zoe"),
    ),
    "granted and used": (started(), requested(), granted(), resumed(), redeemed(), completed()),
    "revoked": (started(), requested(), granted(), resumed(), revoked()),
    "rejected": (started(), claimed(), requested(), rejected(), resumed()),
    "withdrawn": (started(workflow="other"), requested(), withdrawn(), resumed(), completed()),
    "two": (started(), requested("a"), requested("b"), granted(ordinal=1), granted(ordinal=2)),
}


def query(pool: Pool) -> PastApprovalQuery:
    return PastApprovalQuery(pool, Reader(RecentEvents(), pool))


class Told:
    """Executions whose events are mixed in the log, and each state that they had."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.states: list[tuple[datetime, UUID, Any]] = []

    def tell(self) -> None:
        ids = {name: UUID(int=number) for number, name in enumerate(STORIES, 1)}
        for step in range(max(map(len, STORIES.values()))):
            for name, facts in STORIES.items():
                if step < len(facts):
                    state = self.log.append(facts[step], to=ids[name])
                    self.states.append((state.updated_at, ids[name], state))

    def pending(self, moment: datetime) -> list[Approval]:
        last = {id_: state for at, id_, state in self.states if at <= moment}
        found = [a for state in last.values() for a in state.approvals.values() if a.pending]
        return sorted(found, key=lambda a: (a.requested_at, a.id))


@pytest.mark.parametrize("order", [ApprovalOrder.REQUESTED_ASC, ApprovalOrder.REQUESTED_DESC])
async def test_at_each_moment_it_is_what_the_log_says(
    pool: Pool, event_log: EventLog, order: ApprovalOrder
) -> None:
    told = Told(event_log)
    told.tell()
    project(event_log.url, batch=7)
    moments = [at for at, _, _ in told.states]
    for moment in [moments[0] - timedelta(hours=1), *moments, moments[-1] + timedelta(days=400)]:
        rows: list[Approval] = []
        after, more = None, True
        while more:
            page = await query(pool).page(
                AUDREY, ApprovalFilter(), order, as_of=moment, first=2, after=after
            )
            rows += [row.approval for row in page.rows]
            after, more = page.cursors[-1] if page.cursors else None, page.has_next
        expected = told.pending(moment)
        assert rows == (expected if order is ApprovalOrder.REQUESTED_ASC else expected[::-1])
        assert await query(pool).count(AUDREY, ApprovalFilter(), as_of=moment) == len(expected)


async def test_it_tells_whom_an_approval_waited_for(pool: Pool, event_log: EventLog) -> None:
    state = event_log.append(*STORIES["taken back"])
    project(event_log.url)
    asked = [state.approvals[1].decisions[0].at, state.approvals[1].decisions[0].retracted_at]
    missing = []
    for moment in asked:
        assert moment is not None
        page = await query(pool).page(ADAM, ApprovalFilter(), as_of=moment, first=1)
        missing.append(outstanding(page.rows[0].approval)[0].count)
    assert missing == [1, 2]


async def test_the_conditions_that_go_with_a_moment(pool: Pool, event_log: EventLog) -> None:
    told = Told(event_log)
    told.tell()
    project(event_log.url)
    moment = max(at for at, _, state in told.states if state.pending)

    async def found(by: Principal = ADAM, **wanted: Any) -> int:
        page = await query(pool).page(by, ApprovalFilter(**wanted), as_of=moment, first=50)
        assert await query(pool).count(by, ApprovalFilter(**wanted), as_of=moment) == len(page.rows)
        return len(page.rows)

    everything = len(told.pending(moment))
    assert await found() == everything > 0
    assert await found(statuses=(ApprovalStatus.PENDING,)) == everything
    assert await found(workflows=("other",)) == 0
    assert await found(workflows=("travel", "other")) == everything
    assert await found(groups=("finance",)) == everything
    assert await found(groups=("nobody",)) == 0
    assert await found(text="eindhoven") == everything
    assert await found(execution_id=UUID(int=1)) == 1
    assert await found(by=BOB) == everything
    assert await found(by=CLEO) == 0


@pytest.mark.parametrize(
    ("wanted", "order", "said"),
    [
        ({"statuses": (ApprovalStatus.GRANTED,)}, ApprovalOrder.REQUESTED_ASC, "filter.status"),
        ({"decidable_by_viewer": True}, ApprovalOrder.REQUESTED_ASC, "decidableByViewer"),
        ({"deadline_before": datetime.now().astimezone()}, ApprovalOrder.REQUESTED_ASC, "Before"),
        ({}, ApprovalOrder.DEADLINE_ASC, "DEADLINE_ASC"),
    ],
)
async def test_what_does_not_go_with_a_moment_is_refused(
    pool: Pool, wanted: dict[str, Any], order: ApprovalOrder, said: str
) -> None:
    with pytest.raises(BadFilterError, match=said):
        await query(pool).page(
            ADAM, ApprovalFilter(**wanted), order, as_of=datetime.now().astimezone(), first=1
        )


async def test_moments_at_the_ends_of_time_find_nothing_or_what_is_pending(
    pool: Pool, event_log: EventLog
) -> None:
    event_log.append(*STORIES["still pending"])
    project(event_log.url)
    zone = event_log.states.popitem()[1].started_at.tzinfo
    for moment, number in (
        (datetime(1, 1, 1, tzinfo=zone), 0),
        (datetime(9999, 12, 31, tzinfo=zone), 1),
    ):
        page = await query(pool).page(ADAM, ApprovalFilter(), as_of=moment, first=5)
        assert len(page.rows) == number


@given(seconds=st.floats(0, 1e11))
@settings(max_examples=50, suppress_health_check=list(HealthCheck), deadline=None)
def test_a_class_is_never_shorter_than_the_time(seconds: float) -> None:
    class Fake:
        requested_at = datetime(2026, 1, 1)  # noqa: DTZ001 - the difference alone counts
        pending_until = requested_at + timedelta(seconds=seconds)

    number = span_class(Fake())  # type: ignore[arg-type]
    assert number == LONGEST or seconds <= 4**number + 1e-6
    assert number == 0 or seconds > 4 ** (number - 1) - 1e-6
