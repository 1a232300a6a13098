from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from domain.execution.state import Execution
from domain.values import ExecutionState, Label, Principal, Role
from projections.executions.query import ExecutionFilter, ExecutionOrder, ExecutionQuery
from projections.querying.checkpoints import Checkpoints
from projections.querying.keyset_pages import BadCursorError, BehindError
from projections.runtime.read_model import header
from tests.domain.facts import cancelled, completed, granted, requested, resumed, started
from tests.domain.people import ADAM, ANN, AUDREY, ENGINE, NOBODY, OLIVIA, OTHER_ENGINE, principal
from tests.projections.event_log import EventLog
from tests.projections.tables import project

Pool = AsyncConnectionPool[AsyncConnection[Any]]

TEAM = Label(name="team", value="maths")
LONG = Label(name="n" * 200, value="\N{GRINNING FACE}" * 500)


@pytest.fixture
def seven(event_log: EventLog) -> list[UUID]:
    """Seven executions of each kind that a filter tells apart, in the order of their start."""
    states = [
        event_log.append(started(labels=(TEAM,))),
        event_log.append(started(workflow="purchase"), cancelled()),
        event_log.append(started(queue="elsewhere"), requested(title="Visa for Eindhoven")),
        event_log.append(started(by="adam", labels=(TEAM, LONG)), completed()),
        event_log.append(started(), requested(), granted(), resumed()),
        event_log.append(started(workflow="refund", queue="elsewhere", labels=(LONG,))),
        event_log.append(
            started(), requested(payload={"hotel": "Blue"}), requested("b", title="Taxi")
        ),
    ]
    event_log.append(completed(), to=states[0].id)
    project(event_log.url)
    return [state.id for state in states]


async def found(
    pool: Pool, wanted: ExecutionFilter, who: Principal = ADAM, **how: Any
) -> list[UUID]:
    how = {"order": ExecutionOrder.STARTED_ASC, "first": 100, **how}
    page = await ExecutionQuery(pool).page(who, wanted, **how)
    ids = [row.id for row in page.rows]
    assert await ExecutionQuery(pool).count(who, wanted) == len(ids)
    return ids


STATES = {
    "everything": (ExecutionFilter(), [0, 1, 2, 3, 4, 5, 6]),
    "state": (ExecutionFilter(states=(ExecutionState.WAITING_APPROVAL,)), [2, 6]),
    "states": (
        ExecutionFilter(states=(ExecutionState.COMPLETED, ExecutionState.RESUMED)),
        [0, 3, 4],
    ),
    "no state": (ExecutionFilter(states=()), []),
    "same state twice": (ExecutionFilter(states=(ExecutionState.CANCELLED,) * 2), [1]),
    "workflow": (ExecutionFilter(workflows=("purchase",)), [1]),
    "workflows": (ExecutionFilter(workflows=("purchase", "refund", "nothing")), [1, 5]),
    "two alternatives": (
        ExecutionFilter(
            workflows=("travel", "refund"),
            states=(ExecutionState.RUNNING, ExecutionState.COMPLETED),
        ),
        [0, 3, 5],
    ),
    "many workflows": (ExecutionFilter(workflows=(*map(str, range(50)), "refund")), [5]),
    "unstorable workflow": (ExecutionFilter(workflows=("a\x00", "\ud800")), []),
    "queue": (ExecutionFilter(queues=("elsewhere",)), [2, 5]),
    "initiator": (ExecutionFilter(initiators=("adam", "nobody\x00")), [3]),
    "label": (ExecutionFilter(labels=(TEAM,)), [0, 3]),
    "unstorable label": (ExecutionFilter(labels=(Label(name="team", value="\ud800"),)), []),
    "unstorable initiator": (ExecutionFilter(initiators=("\ud800",)), []),
    "labels": (ExecutionFilter(labels=(TEAM, LONG)), [3]),
    "other label": (ExecutionFilter(labels=(Label(name="team", value="physics"),)), []),
    "no label": (ExecutionFilter(labels=()), [0, 1, 2, 3, 4, 5, 6]),
    "title": (ExecutionFilter(text="visa"), [2]),
    "payload": (ExecutionFilter(text="hotel blue taxi"), [6]),
    "workflow as text": (ExecutionFilter(text="refund"), [5]),
    "label as text": (ExecutionFilter(text="maths -taxi"), [0, 3]),
    "blank text": (ExecutionFilter(text=" "), [0, 1, 2, 3, 4, 5, 6]),
    "signs as text": (ExecutionFilter(text="?!"), []),
}


@pytest.mark.parametrize("name", STATES)
async def test_a_filter_finds_the_same_in_the_tables_and_in_states(
    pool: Pool, event_log: EventLog, seven: list[UUID], name: str
) -> None:
    wanted, places = STATES[name]
    assert await found(pool, wanted) == [seven[place] for place in places]
    query = ExecutionQuery(pool)
    matching = [
        place
        for place, id_ in enumerate(seven)
        if await query.matches(ADAM, wanted, event_log.states[id_])
    ]
    assert matching == places


async def test_the_bounds_of_time_are_exclusive(
    pool: Pool, event_log: EventLog, seven: list[UUID]
) -> None:
    at = event_log.states[seven[3]].started_at
    assert await found(pool, ExecutionFilter(started_after=at)) == seven[4:]
    assert await found(pool, ExecutionFilter(started_before=at)) == seven[:3]
    around = timedelta(microseconds=1)
    exactly = ExecutionFilter(started_after=at - around, started_before=at + around)
    assert await found(pool, exactly) == [seven[3]]


@pytest.mark.parametrize(
    ("who", "places"),
    [
        (ADAM, [0, 1, 2, 3, 4, 5, 6]),
        (AUDREY, [0, 1, 2, 3, 4, 5, 6]),
        (OLIVIA, [0, 1, 2, 3, 4, 5, 6]),
        (ENGINE, [0, 1, 3, 4, 6]),
        (OTHER_ENGINE, [2, 5]),
        (principal("all", Role.ENGINE), [0, 1, 2, 3, 4, 5, 6]),
        (principal("both", Role.ENGINE, queues=("default", "elsewhere")), [0, 1, 2, 3, 4, 5, 6]),
        (principal("none", Role.ENGINE, queues=()), []),
        (ANN, []),
        (NOBODY, []),
    ],
    ids=lambda each: getattr(each, "id", ""),
)
async def test_a_page_holds_only_what_one_may_see(
    pool: Pool, seven: list[UUID], who: Principal, places: list[int]
) -> None:
    assert await found(pool, ExecutionFilter(), who) == [seven[place] for place in places]


@pytest.mark.parametrize("order", ExecutionOrder)
@pytest.mark.parametrize("wanted", [ExecutionFilter(), ExecutionFilter(queues=("default", "x"))])
async def test_pages_together_hold_each_row_once_in_order(
    pool: Pool,
    event_log: EventLog,
    seven: list[UUID],
    order: ExecutionOrder,
    wanted: ExecutionFilter,
) -> None:
    by_update = order is ExecutionOrder.UPDATED_DESC
    expected = sorted(
        (
            event_log.states[id_]
            for id_ in seven
            if not wanted.queues or event_log.states[id_].queue != "elsewhere"
        ),
        key=lambda state: state.updated_at if by_update else state.started_at,
        reverse=order is not ExecutionOrder.STARTED_ASC,
    )
    rows: list[Execution] = []
    after = None
    while True:
        page = await ExecutionQuery(pool).page(ADAM, wanted, order, first=2, after=after)
        assert page.position == event_log.position
        assert page.has_previous is (after is not None)
        rows += page.rows
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert rows == [header(state) for state in expected]


async def test_executions_of_one_instant_are_not_lost_between_pages(
    pool: Pool, event_log: EventLog
) -> None:
    ids = {event_log.append(started()).id for _ in range(9)}
    project(event_log.url)
    async with pool.connection() as connection:
        await connection.execute("UPDATE executions SET started_at = '2026-03-02 12:00:00+00'")
    # The cursor is made of the body, which still has the instants of before.
    page = await ExecutionQuery(pool).page(ADAM, ExecutionFilter(), first=100)
    assert {row.id for row in page.rows} == ids
    assert [row.id for row in page.rows] == sorted(ids, reverse=True)


async def test_a_cursor_of_another_order_is_refused(pool: Pool, seven: list[UUID]) -> None:
    del seven
    page = await ExecutionQuery(pool).page(ADAM, ExecutionFilter(), first=1)
    with pytest.raises(BadCursorError):
        await ExecutionQuery(pool).page(
            ADAM, ExecutionFilter(), ExecutionOrder.STARTED_ASC, first=1, after=page.cursors[0]
        )


async def test_a_page_waits_until_the_read_model_is_far_enough(
    pool: Pool, event_log: EventLog, seven: list[UUID]
) -> None:
    del seven
    executions = ExecutionQuery(pool, Checkpoints(max_wait=0.2))
    page = await executions.page(ADAM, ExecutionFilter(), first=1, at_least=event_log.position)
    assert page.position == event_log.position
    with pytest.raises(BehindError, match="did not reach"):
        await executions.page(ADAM, ExecutionFilter(), first=1, at_least=event_log.position + 1)
