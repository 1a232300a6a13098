"""Every state with every event: it moves as the table says, or it is an error; none is ignored."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from domain.approvals.events import (
    ApprovalAmended,
    ApprovalChangesRequested,
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalUnclaimed,
    ApprovalWithdrawn,
    DecisionContent,
    DecisionRetracted,
    DelegationTakenBack,
)
from domain.approvals.policy import ExpiryAction, Policy, Requirement
from domain.approvals.state import ApprovalStatus, ResolutionCause
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    EVENT_TYPES,
    CancellationRequested,
    Cancelled,
    ChildEnded,
    ChildStarted,
    Claimed,
    CleanUpDeclared,
    Completed,
    Failed,
    Parked,
    Resumed,
    Retried,
    SignalReceived,
    Started,
    StepCompleted,
    StepFailed,
    Suspended,
    TimerCancelled,
    TimerFired,
    TimerSet,
    Unparked,
)
from domain.execution.evolve import evolve, fold
from domain.execution.state import Execution
from domain.execution.transitions import TRANSITIONS
from domain.refusals import IllegalTransitionError
from domain.values import Actor, ExecutionState
from tests.domain.ask import HOUR, needs, policy
from tests.domain.facts import (
    Fact,
    child_ended,
    child_started,
    claimed_approval,
    clean_up_declared,
    delegated,
    escalated,
    expired,
    failed,
    granted,
    parked,
    redeemed,
    requested,
    resumed,
    signalled,
    started,
    step_completed,
    step_failed,
    timer_fired,
    timer_set,
    unparked,
    withdrawn,
)
from tests.domain.recording import NOON, recorded
from tests.domain.scenario import given
from tests.domain.states import HISTORIES

EVENTS: dict[type[Event], Event] = {
    type(event): event
    for event in (
        Started(workflow="travel", queue="default"),
        Claimed(worker="w", fence=1),
        CleanUpDeclared(),
        StepCompleted(key="new", name="new", attempt=1),
        StepFailed(key="new", name="new", attempt=1),
        ApprovalRequested(
            ordinal=2,
            key="new",
            round=1,
            policy=Policy(requirements=(Requirement(groups=("g",)),)),
            payload_digest="sha256:p",
            digest="sha256:d",
        ),
        ApprovalAmended(
            ordinal=1, seen_digest="sha256:d", digest="sha256:e", payload_digest="sha256:q"
        ),
        ApprovalGranted(ordinal=1, digest="sha256:d", rule="group:g"),
        ApprovalRejected(ordinal=1, digest="sha256:d", rule="group:g"),
        ApprovalChangesRequested(ordinal=1, digest="sha256:d", rule="group:g"),
        DecisionRetracted(ordinal=1, decision_version=3),
        ApprovalRevoked(ordinal=1),
        ApprovalCommented(ordinal=1, text_digest="sha256:t"),
        ApprovalClaimed(ordinal=1),
        ApprovalUnclaimed(ordinal=1),
        ApprovalExpired(ordinal=1, action=ExpiryAction.REJECT),
        ApprovalWithdrawn(ordinal=1),
        ApprovalDelegated(ordinal=1, to="bob"),
        DelegationTakenBack(ordinal=1, delegation_version=3),
        ApprovalEscalated(ordinal=1, groups=("chiefs",)),
        ApprovalReminded(ordinal=1, due_at=NOON),
        Resumed(),
        ApprovalRedeemed(ordinal=1, payload_digest="sha256:p", redemption_key="k"),
        TimerSet(key="new", delay=HOUR),
        TimerFired(key="reminder"),
        TimerCancelled(key="reminder"),
        SignalReceived(key="new", name="ticket"),
        ChildStarted(key="new", round=1, child_id=UUID(int=9), workflow="w", queue="default"),
        ChildEnded(key="hotel", round=1, outcome=ExecutionState.COMPLETED),
        Suspended(),
        Parked(),
        Unparked(),
        Completed(),
        Failed(),
        CancellationRequested(),
        Cancelled(),
        Retried(),
    )
}
SOMEBODY = Actor(id="somebody")
# These are possible while an approval waits, but only once it is resolved or for another one.
NEEDS_OTHER_FACTS: dict[tuple[ExecutionState | None, type[Event]], tuple[Fact, ...]] = {
    (ExecutionState.WAITING_APPROVAL, Resumed): (requested(), granted()),
    (ExecutionState.WAITING_APPROVAL, ApprovalRedeemed): (
        requested(),
        requested("b"),
        granted(ordinal=1),
    ),
    (ExecutionState.WAITING_APPROVAL, ApprovalRevoked): (
        requested(),
        requested("b"),
        granted(ordinal=1),
    ),
    (ExecutionState.WAITING_APPROVAL, DecisionRetracted): (
        requested(policy=policy(needs("finance", count=2))),
        granted(resolves=False),
    ),
    (ExecutionState.WAITING_APPROVAL, DelegationTakenBack): (requested(), delegated("bob")),
    (ExecutionState.WAITING_APPROVAL, ApprovalUnclaimed): (requested(), claimed_approval()),
}
# What must have gone before, right after the start.
NEEDS_BEFORE: dict[type[Event], Fact] = {
    TimerFired: timer_set(),
    TimerCancelled: timer_set(),
    ChildEnded: child_started(),
    Unparked: parked(),
    CancellationRequested: clean_up_declared(),
}


def state_for(state: ExecutionState | None, event: type[Event]) -> Execution | None:
    if facts := NEEDS_OTHER_FACTS.get((state, event)):
        return given(started(), *facts).state
    if state is None:
        return None
    begin, *rest = HISTORIES[state]
    return given(begin, *([NEEDS_BEFORE[event]] if event in NEEDS_BEFORE else []), *rest).state


def test_there_is_an_event_of_every_type() -> None:
    assert set(EVENTS) == set(EVENT_TYPES)


@pytest.mark.parametrize("state", HISTORIES, ids=str)
@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda event: event.__name__)
def test_every_event_in_every_state(event_type: type[Event], state: ExecutionState | None) -> None:
    before = state_for(state, event_type)
    happened = recorded(before, SOMEBODY, EVENTS[event_type])

    if (state, event_type) not in TRANSITIONS:
        with pytest.raises(IllegalTransitionError, match=event_type.__name__):
            evolve(before, happened)
        return
    after = evolve(before, happened)
    assert after.state is TRANSITIONS[state, event_type]
    assert after.version == happened.version
    assert after.updated_at == happened.at


@pytest.mark.parametrize("move", TRANSITIONS, ids=lambda move: f"{move[0]}-{move[1].__name__}")
def test_no_event_is_ignored(move: tuple[ExecutionState | None, type[Event]]) -> None:
    """What an event says shows in the state, beside the version and the time."""
    state, event_type = move
    before = state_for(state, event_type)
    if before is None:
        return
    after = evolve(before, recorded(before, SOMEBODY, EVENTS[event_type]))

    assert replace(after, version=before.version, updated_at=before.updated_at) != before


@pytest.mark.parametrize("offset", [-1, 0, 2])
def test_a_version_out_of_order_is_an_error(offset: int) -> None:
    state = given(started(), step_completed()).state
    happened = recorded(state, SOMEBODY, Completed())

    with pytest.raises(IllegalTransitionError, match="can't follow version 2"):
        evolve(state, replace(happened, version=state.version + offset))


def test_an_event_of_another_execution_is_an_error() -> None:
    state = given(started()).state
    happened = recorded(state, SOMEBODY, Completed())

    with pytest.raises(IllegalTransitionError, match="can't follow"):
        evolve(state, replace(happened, execution_id=UUID(int=7)))


def test_a_start_at_a_later_version_is_an_error() -> None:
    happened = recorded(None, SOMEBODY, EVENTS[Started])

    with pytest.raises(IllegalTransitionError, match="does not begin"):
        evolve(None, replace(happened, version=2))


@pytest.mark.parametrize(
    "event",
    [
        EVENTS[each]
        for each in (
            ApprovalGranted,
            ApprovalRejected,
            ApprovalExpired,
            ApprovalWithdrawn,
            ApprovalDelegated,
            ApprovalEscalated,
            ApprovalChangesRequested,
            DecisionRetracted,
            DelegationTakenBack,
            ApprovalClaimed,
            ApprovalUnclaimed,
        )
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_about_an_approval_that_is_not_pending_is_an_error(event: Event) -> None:
    resolved = given(started(), requested(), requested("b"), withdrawn(1)).state
    missing = given(started(), requested("a")).state

    with pytest.raises(IllegalTransitionError, match=r"approval 1 .* is WITHDRAWN, not PENDING"):
        evolve(resolved, recorded(resolved, SOMEBODY, event))
    with pytest.raises(IllegalTransitionError, match=r"approval 2 .* is missing"):
        evolve(missing, recorded(missing, SOMEBODY, replace(event, ordinal=2)))


def test_resuming_with_an_approval_pending_is_an_error() -> None:
    state = given(started(), requested()).state

    with pytest.raises(IllegalTransitionError, match="1 approvals pending"):
        evolve(state, recorded(state, SOMEBODY, Resumed()))


def test_redeeming_what_is_not_granted_or_twice_is_an_error() -> None:
    rejected = given(started(), requested(), requested("b"), withdrawn(1)).state
    twice = given(started(), requested(), granted(), resumed(), redeemed()).state

    for state in (rejected, twice):
        with pytest.raises(IllegalTransitionError, match="approval 1"):
            evolve(state, recorded(state, SOMEBODY, EVENTS[ApprovalRedeemed]))


@pytest.mark.parametrize(
    ("history", "again", "words"),
    [
        ([timer_set()], timer_set(), "was set already"),
        ([timer_set(), timer_fired()], timer_fired(), "is not pending"),
        ([], timer_fired(), "is not pending"),
        ([signalled()], signalled(), "was received already"),
        ([child_started()], child_started(), "out of order"),
        ([child_started(), child_ended()], child_ended(), "is not under way"),
        ([], child_ended(), "is not under way"),
        ([parked()], parked(), "is parked"),
        ([], unparked(), "is not parked"),
    ],
)
def test_an_event_that_contradicts_the_state_is_an_error(
    history: list[Fact], again: Fact, words: str
) -> None:
    with pytest.raises(IllegalTransitionError, match=words):
        given(started(), *history, again)


def test_a_timer_that_does_not_say_when_it_fires_is_an_error() -> None:
    state = given(started()).state

    with pytest.raises(IllegalTransitionError, match="does not say when"):
        evolve(state, recorded(state, SOMEBODY, TimerSet(key="new")))


def test_an_approval_out_of_order_is_an_error() -> None:
    state = given(started()).state

    with pytest.raises(IllegalTransitionError, match=r"approval 2 .* out of order"):
        evolve(state, recorded(state, SOMEBODY, EVENTS[ApprovalRequested]))


@pytest.mark.parametrize("event_type", [StepCompleted, StepFailed])
def test_an_event_of_a_completed_step_is_an_error(event_type: type[Event]) -> None:
    state = given(started(), step_completed("new")).state

    with pytest.raises(IllegalTransitionError, match=r"step 'new' .* completed already"):
        evolve(state, recorded(state, SOMEBODY, EVENTS[event_type]))


def test_an_event_that_the_catalogue_does_not_have_is_an_error() -> None:
    state = given(started()).state

    with pytest.raises(IllegalTransitionError, match="Event can't happen in state RUNNING"):
        evolve(state, recorded(state, SOMEBODY, Event()))


@pytest.mark.parametrize(
    ("action", "status"),
    [
        (ExpiryAction.GRANT, ApprovalStatus.GRANTED),
        (ExpiryAction.REJECT, ApprovalStatus.EXPIRED),
    ],
)
def test_an_expiry_resolves_an_approval(action: ExpiryAction, status: ApprovalStatus) -> None:
    history = given(started(), requested(), expired(action=action), resumed())

    approval = history.approval(1)
    assert (approval.status, approval.resolution) == (status, ResolutionCause.EXPIRY)
    assert (approval.resolved_version, history.state.woken_version) == (3, 3)


def test_delegations_and_escalations_are_kept() -> None:
    history = given(
        started(), requested(), delegated("bob"), escalated("chiefs"), escalated("board", "owners")
    )

    [delegation] = history.approval(1).delegations
    assert (delegation.by.id, delegation.to.id) == ("ann", "bob")
    assert history.approval(1).escalated_to == ("chiefs", "board", "owners")
    assert history.approval(1).pending


def test_for_whom_a_person_stood_in_is_kept() -> None:
    state = given(started(), requested()).state
    event = replace(
        EVENTS[ApprovalGranted],
        on_behalf_of="bob",
        content=DecisionContent(on_behalf_of_name="Bob"),
    )

    after = evolve(state, recorded(state, SOMEBODY, event))

    assert after.approvals[1].decisions[0].on_behalf_of == Actor(id="bob", name="Bob")


def test_folding_changes_no_earlier_state() -> None:
    history = given(started(), step_failed(), requested("a"), requested("b"))
    states = [fold(None, history.log[:n]) for n in range(1, 5)]

    after = fold(states[-1], [recorded(states[-1], SOMEBODY, Cancelled())])

    assert after is not None
    assert [fold(None, history.log[:n]) for n in range(1, 5)] == states


def test_a_fold_goes_on_from_anywhere() -> None:
    log = given(started(), step_completed(), requested(), granted(), resumed(), failed()).log

    for n in range(len(log) + 1):
        assert fold(fold(None, log[:n]), log[n:]) == fold(None, log)
    assert fold(None, []) is None
