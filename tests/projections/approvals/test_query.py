from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from psycopg import AsyncConnection, connect
from psycopg_pool import AsyncConnectionPool

from domain.approvals.state import Approval
from projections.approvals.projection import APPROVALS
from projections.approvals.query import ApprovalFilter, ApprovalOrder, ApprovalQuery
from projections.querying.keyset_pages import BadCursorError
from projections.runtime.read_model import Change, header
from tests.domain.facts import (
    completed,
    escalated,
    granted,
    requested,
    resumed,
    started,
    step_completed,
)
from tests.domain.people import ADAM, ANN, CLEO
from tests.projections.event_log import EventLog
from tests.projections.tables import project, with_digests

Pool = AsyncConnectionPool[AsyncConnection[Any]]


async def test_a_row_has_the_execution_as_of_the_last_event_of_the_approval(
    pool: Pool, event_log: EventLog
) -> None:
    waiting = event_log.append(started(), requested(), granted())
    event_log.append(resumed(), step_completed(), completed(), to=waiting.id)
    project(event_log.url)
    page = await ApprovalQuery(pool).page(ADAM, ApprovalFilter(), first=10)
    [row] = page.rows
    assert row.execution == header(waiting)
    assert row.approval == waiting.approvals[1]
    assert page.position == event_log.position


async def test_who_decided_still_sees_the_approval(pool: Pool, event_log: EventLog) -> None:
    event_log.append(started(), requested(), granted(by=ANN))
    project(event_log.url)
    approvals = ApprovalQuery(pool)
    no_longer = replace(ANN, groups=frozenset())
    assert await approvals.count(no_longer, ApprovalFilter()) == 1
    assert await approvals.count(replace(no_longer, id="zoe"), ApprovalFilter()) == 0
    assert await approvals.count(CLEO, ApprovalFilter()) == 0


@pytest.mark.parametrize(("group", "found"), [("finance", 1), ("chiefs", 1), ("legal", 0)])
async def test_groups_find_what_was_escalated_to_them_also_before_it_is_in_the_tables(
    pool: Pool, event_log: EventLog, group: str, found: int
) -> None:
    state = event_log.append(started(), requested(), escalated("chiefs"))
    project(event_log.url)
    approvals, wanted = ApprovalQuery(pool), ApprovalFilter(groups=(group,))

    assert await approvals.count(ADAM, wanted) == found
    assert await approvals.matches(ADAM, wanted, state, state.approvals[1]) is bool(found)


async def test_a_damaged_row_is_left_out_of_its_page(pool: Pool, event_log: EventLog) -> None:
    event_log.append(started(), requested("first"), requested("second"), requested("third"))
    project(event_log.url)
    with connect(event_log.url) as connection:
        connection.execute("UPDATE approvals SET body = 'damaged' WHERE ordinal = 2")
    approvals = ApprovalQuery(pool)
    page = await approvals.page(ADAM, ApprovalFilter(), first=3)
    assert [row.approval.key for row in page.rows] == ["first", "third"]
    page = await approvals.page(ADAM, ApprovalFilter(), first=1)
    assert page.has_next
    page = await approvals.page(ADAM, ApprovalFilter(), first=1, after=page.cursors[-1])
    assert [row.approval.key for row in page.rows] == ["third"]


@pytest.mark.parametrize("order", ApprovalOrder)
async def test_pages_together_hold_each_row_once_in_order(
    pool: Pool, event_log: EventLog, order: ApprovalOrder
) -> None:
    state = event_log.append(started(), *(requested(f"key-{n}") for n in range(9)))
    approvals = [
        replace(
            approval,
            # Three by three of one instant, and every other one without a deadline.
            requested_at=state.started_at + timedelta(seconds=approval.ordinal // 3),
            deadline=None
            if approval.ordinal % 2
            else state.started_at + timedelta(days=5 - approval.ordinal // 4),
        )
        for approval in state.approvals_in_order()
    ]
    for approval in approvals:
        state = replace(state, approvals=state.approvals.insert(approval.ordinal, approval))
    state = with_digests(state)
    approvals = state.approvals_in_order()
    with connect(event_log.url) as connection:
        touched = {approval.ordinal: state for approval in approvals}
        change = Change(state, started=True, reworded=set(touched), touched=touched)
        assert APPROVALS.write(connection, [change], 0, event_log.position)

    def key(approval: Approval) -> tuple[Any, ...]:
        requested = (approval.requested_at, approval.id)
        if order is not ApprovalOrder.DEADLINE_ASC:
            return requested
        return (approval.deadline is None, approval.deadline, *requested)

    expected = sorted(approvals, key=key, reverse=order is ApprovalOrder.REQUESTED_DESC)
    rows: list[Approval] = []
    after = None
    while True:
        page = await ApprovalQuery(pool).page(ADAM, ApprovalFilter(), order, first=2, after=after)
        rows += [row.approval for row in page.rows]
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert rows == expected


async def test_a_cursor_of_another_order_is_refused(pool: Pool, event_log: EventLog) -> None:
    event_log.append(started(), requested())
    project(event_log.url)
    page = await ApprovalQuery(pool).page(ADAM, ApprovalFilter(), first=1)
    with pytest.raises(BadCursorError):
        await ApprovalQuery(pool).page(
            ADAM, ApprovalFilter(), ApprovalOrder.DEADLINE_ASC, first=1, after=page.cursors[0]
        )
