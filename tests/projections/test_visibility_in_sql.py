"""The rule of visibility in SQL gives the same results as the one in memory."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from rpds import HashTrieMap

from application.event_store.schema import create_tables
from domain.approvals.eligibility import objections
from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Approval, ApprovalStatus, Decision, Delegation, Verdict
from domain.authorization import sees_approval
from domain.execution.evolve import evolve
from domain.execution.state import Execution
from domain.names import may_be_same_person
from domain.values import Absence, Actor, Principal, Role, SubstitutionRef
from projections.approvals.projection import APPROVALS
from projections.approvals.query import ApprovalFilter, ApprovalOrder, ApprovalQuery
from projections.registry import MODELS
from projections.runtime.read_model import Change
from projections.runtime.schema import migrate
from tests.domain.facts import requested, started
from tests.domain.recording import NOON, recorded
from tests.projections.tables import with_digests

SPELLINGS = ("zo\u00eb", "zoe\u0308 ", "ZO\u00cb")
PEOPLE = ("ann", "bob", "group", "finance", "\x00", "{},\"\\ 'x", *SPELLINGS)
GROUPS = ("finance", "legal", "ann", "NULL", "", *SPELLINGS)
QUEUES = ("default", "elsewhere")
WORKFLOWS = ("travel", "refund")
WORDS = ("trip", "hotel", "blue", "4711")

some = st.lists(st.sampled_from(GROUPS), max_size=2).map(tuple)
requirements = st.builds(
    Requirement, groups=some, users=st.lists(st.sampled_from(PEOPLE), max_size=2).map(tuple)
)
moments = st.integers(0, 3).map(lambda n: NOON + timedelta(seconds=n))
decisions = st.builds(
    Decision,
    verdict=st.sampled_from(Verdict),
    by=st.sampled_from(PEOPLE).map(lambda name: Actor(id=name)),
    at=st.just(NOON),
    version=st.just(3),
    digest=st.just(""),
    rule=st.just(""),
    on_behalf_of=st.sampled_from(PEOPLE).map(lambda name: Actor(id=name)),
    substitution=st.none() | st.just(SubstitutionRef(number=1)),
)
delegations = st.builds(
    Delegation,
    by=st.sampled_from(PEOPLE).map(lambda name: Actor(id=name)),
    to=st.sampled_from(PEOPLE).map(lambda name: Actor(id=name)),
    at=st.just(NOON),
    version=st.just(3),
    groups=some,
).filter(lambda delegation: delegation.by != delegation.to)


def _base() -> Execution:
    state = evolve(None, recorded(None, *started()(None)))
    return evolve(state, recorded(state, *requested()(state)))


BASE = _base()


@st.composite
def waiting(draw: st.DrawFn) -> Execution:
    asked = draw(st.lists(requirements, min_size=1, max_size=2).map(tuple))
    handed_over = draw(st.lists(delegations, max_size=1))
    approval = replace(
        BASE.approvals[1],
        title=" ".join(draw(st.lists(st.sampled_from(WORDS), max_size=3))),
        payload=None,
        policy=Policy(
            requirements=asked,
            allow_initiator=draw(st.booleans()),
        ),
        requested_by=Actor(id=draw(st.sampled_from(PEOPLE))),
        requested_at=draw(moments),
        deadline=draw(st.none() | moments),
        status=draw(st.sampled_from([ApprovalStatus.PENDING] * 4 + list(ApprovalStatus))),
        decisions=draw(st.lists(decisions, max_size=2).map(tuple)),
        # Only whom the policy asks hands the decision over.
        delegations=tuple(
            each
            for each in handed_over
            if any(one.admits(each.by.id, frozenset(each.groups)) for one in asked)
        ),
    )
    return replace(
        BASE,
        initiator=Actor(id=draw(st.sampled_from(PEOPLE))),
        on_behalf_of=draw(st.none() | st.sampled_from(PEOPLE)),
        queue=draw(st.sampled_from(QUEUES)),
        workflow=draw(st.sampled_from(WORKFLOWS)),
        approvals=HashTrieMap({1: approval}),
    )


absences = st.builds(
    Absence,
    id=st.sampled_from(PEOPLE),
    groups=st.frozensets(st.sampled_from(GROUPS), max_size=2),
    only_groups=st.booleans(),
)
principals = st.builds(
    Principal,
    id=st.sampled_from(PEOPLE),
    name=st.just("Somebody"),
    roles=st.frozensets(st.sampled_from([Role.APPROVER, Role.APPROVER, *Role]), max_size=2),
    groups=st.frozensets(st.sampled_from(GROUPS)),
    queues=st.none() | st.frozensets(st.sampled_from(QUEUES)),
    stands_in_for=st.lists(absences, max_size=2).map(tuple),
)


def few(values: Any) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(st.sampled_from(values), max_size=2).map(tuple)


filters = st.builds(
    ApprovalFilter,
    statuses=few(list(ApprovalStatus)),
    decidable_by_viewer=st.sampled_from([None, True, False]),
    groups=few([*GROUPS, "\x00"]),
    workflows=few([*WORKFLOWS, "\x00", "\ud800"]),
    execution_id=st.none() | st.integers(0, 3).map(lambda n: UUID(int=n)),
    deadline_before=st.none() | moments,
    text=st.sampled_from([None, None, "", "trip", "hotel -blue", '"trip hotel"', "4711 or blue"]),
)


@pytest.fixture(scope="module")
def url(module_database_url: str) -> str:
    create_tables(module_database_url)
    migrate(module_database_url, MODELS.values())
    return module_database_url


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(waiting(), min_size=1, max_size=4),
    st.lists(st.tuples(principals, filters), min_size=1, max_size=4),
    st.sampled_from(ApprovalOrder),
)
def test_the_database_and_memory_agree(
    url: str,
    drawn: list[Execution],
    asked: list[tuple[Principal, ApprovalFilter]],
    order: ApprovalOrder,
) -> None:
    states = [_numbered(state, n) for n, state in enumerate(drawn)]
    _write(url, states)
    asyncio.run(_compare(url, states, asked, order))


def _numbered(state: Execution, number: int) -> Execution:
    approval = state.approvals[1]
    id_ = UUID(int=number)
    numbered = replace(approval, id=approval.id._replace(execution_id=id_))
    return with_digests(replace(state, id=id_, approvals=HashTrieMap({1: numbered})))


def _write(url: str, states: list[Execution]) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("TRUNCATE approvals, approval_terms")
        connection.execute("UPDATE projection_positions SET position = 0")
        changes = [
            Change(state, started=True, reworded={1}, touched={1: state}) for state in states
        ]
        assert APPROVALS.write(connection, changes, 0, 1)


async def _compare(
    url: str,
    states: list[Execution],
    asked: list[tuple[Principal, ApprovalFilter]],
    order: ApprovalOrder,
) -> None:
    async with AsyncConnectionPool[AsyncConnection[Any]](url, min_size=1, open=False) as pool:
        approvals = ApprovalQuery(pool)
        for principal, wanted in asked:
            page = await approvals.page(principal, wanted, order, first=100)
            expected = [
                state.approvals[1]
                for state in states
                if await approvals.matches(principal, wanted, state, state.approvals[1])
            ]
            assert [row.approval for row in page.rows] == _sorted(expected, order)
            assert await approvals.count(principal, wanted) == len(expected)
            _check_decidable(principal, wanted, states, expected)


def _sorted(approvals: list[Approval], order: ApprovalOrder) -> list[Approval]:
    def key(approval: Approval) -> tuple[Any, ...]:
        requested = (approval.requested_at, approval.id)
        if order is not ApprovalOrder.DEADLINE_ASC:
            return requested
        return (approval.deadline or datetime.max.replace(tzinfo=UTC), *requested)

    return sorted(approvals, key=key, reverse=order is ApprovalOrder.REQUESTED_DESC)


def _check_decidable(
    principal: Principal,
    wanted: ApprovalFilter,
    states: list[Execution],
    matching: list[Approval],
) -> None:
    """Compare with the domain's own words, where nothing else is asked for."""
    if wanted != ApprovalFilter(decidable_by_viewer=wanted.decidable_by_viewer):
        return
    if wanted.decidable_by_viewer is None:
        return
    for state in states:
        approval = state.approvals[1]
        may = (
            approval.pending
            and not list(objections(principal, state, approval))
            and not any(_decided_for(d, principal) for d in approval.decisions)
        )
        seen = sees_approval(principal, state, approval)
        assert (approval in matching) is (seen and may is wanted.decidable_by_viewer)


def _decided_for(decision: Decision, viewer: Principal) -> bool:
    people = [decision.by]
    if decision.substitution is not None and decision.on_behalf_of is not None:
        people.append(decision.on_behalf_of)
    return any(may_be_same_person(person.id, viewer.id) for person in people)
