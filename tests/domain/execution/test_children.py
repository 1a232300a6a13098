"""Children: started once a round, and ended by the service."""

from uuid import UUID, uuid4

import msgspec
import pytest

from domain.authorization import SERVICE
from domain.execution.children import ends_with_parent
from domain.execution.commands import StartExecution
from domain.execution.decide import decide
from domain.execution.events import Cancelled, ChildEnded, ChildStarted, Started
from domain.identifiers import child_id
from domain.refusals import RefusalCode
from domain.values import FINAL_STATES, ExecutionState, Parent, ParentEnd, Principal, Role
from tests.domain.ask import EXECUTION, Ask, cancel, end_child, start, start_child
from tests.domain.facts import child_ended, child_started, failed, retried, started
from tests.domain.people import OLIVIA, principal
from tests.domain.recording import NOON
from tests.domain.scenario import given


def test_a_child_has_an_id_that_follows_from_its_parent() -> None:
    [event] = given(started()).when(start_child(input=1)).recorded

    assert isinstance(event, ChildStarted)
    assert event.child_id == child_id(EXECUTION, "hotel", 1)
    assert event.child_id != child_id(EXECUTION, "hotel", 2) != child_id(EXECUTION, "bus", 2)


def test_nobody_else_starts_an_execution_with_the_id_of_a_child() -> None:
    taken = child_id(EXECUTION, "hotel", 1)

    for by in ("olivia", "engine", "adam"):
        given().when(start(by, execution_id=taken, given_id=str(taken))).then_refused(
            RefusalCode.INVALID_INPUT, "reserved for children"
        )
    parent = Parent(execution_id=EXECUTION, key="hotel", round=1)
    given().when(start(execution_id=taken, parent=parent)).then(Started)


@pytest.mark.parametrize("version", [1, 3, 4, 5])
def test_an_id_of_any_other_version_may_be_chosen(version: int) -> None:
    chosen = UUID(int=uuid4().int, version=version)

    given().when(start(execution_id=chosen, given_id=str(chosen))).then(Started)


def test_an_execution_that_was_started_before_ids_were_reserved_is_found_by_a_repeat() -> None:
    taken = child_id(EXECUTION, "hotel", 1)
    before = given(started()).state
    state = msgspec.structs.replace(before, id=taken)
    again = StartExecution(
        by=OLIVIA, execution_id=taken, given_id=str(taken), workflow=before.workflow
    )

    assert decide(state, again, NOON) == ()


def test_a_child_is_known_by_its_key() -> None:
    history = given(started()).when(start_child(input=1)).then(ChildStarted)

    history.when(start_child(input=1)).then_repeated()
    for other in (start_child(input=2), start_child(workflow="x", input=1)):
        history.when(other).then_refused(RefusalCode.KEY_REUSED)


def test_a_child_ends_once() -> None:
    history = given(started(), child_started()).when(end_child(result=5)).then(ChildEnded)

    assert history.state.children["hotel"].outcome is ExecutionState.COMPLETED
    history.when(end_child(outcome=ExecutionState.FAILED)).then_repeated()
    history.when(end_child(round=2)).then_refused(RefusalCode.NOT_FOUND)


def test_a_child_that_did_not_complete_is_started_anew_after_a_retry() -> None:
    ended = child_ended(outcome=ExecutionState.FAILED)
    history = given(started(), child_started(), ended, failed(), retried())

    [event] = history.when(start_child()).recorded
    assert isinstance(event, ChildStarted)
    assert event.round == 2
    # What the child of the first round comes to is of no interest any more.
    history.when(end_child(round=1)).then_repeated()


def test_a_child_that_completed_keeps_its_result_over_a_retry() -> None:
    given(started(), child_started(), child_ended(), failed(), retried()).when(
        start_child()
    ).then_repeated()


def test_an_engine_starts_children_only_in_its_queues() -> None:
    bound = principal("engine", Role.ENGINE, queues=("default",))

    given(started()).when(start_child(by=bound)).then(ChildStarted)
    given(started()).when(start_child(by=bound, queue="x")).then_refused(RefusalCode.FORBIDDEN)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (start_child(workflow=""), "workflow must not be empty"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_the_rule(ask: Ask, words: str) -> None:
    given(started()).when(ask).then_refused(RefusalCode.INVALID_INPUT, words)


@pytest.mark.parametrize(
    "by", [*(principal("somebody", role) for role in Role), principal("placet", *Role)]
)
def test_only_the_service_itself_lets_children_end(by: Principal) -> None:
    history = given(started(), child_started())

    history.when(end_child(by=by)).then_refused(RefusalCode.FORBIDDEN)
    history.when(end_child(by=SERVICE))
    assert history.state.woken_version == history.state.version == 3


@pytest.mark.parametrize(
    ("policy", "cancelled_with"),
    [
        (None, {ExecutionState.CANCELLED}),
        (ParentEnd.WAIT, {ExecutionState.CANCELLED}),
        (ParentEnd.ABANDON, set()),
        (ParentEnd.CANCEL, FINAL_STATES),
    ],
)
def test_what_becomes_of_a_child_at_the_end_of_its_parent_is_said_at_its_start(
    policy: ParentEnd | None, cancelled_with: set[ExecutionState]
) -> None:
    history = given(started()).when(start_child(on_parent_end=policy)).then(ChildStarted)
    child = history.state.children["hotel"]

    assert {end for end in FINAL_STATES if ends_with_parent(child, end)} == cancelled_with
    history.when(start_child(on_parent_end=policy)).then_repeated()
    other = ParentEnd.CANCEL if policy is None else None
    history.when(start_child(on_parent_end=other)).then_refused(RefusalCode.KEY_REUSED)


def test_an_engine_cancels_children_on_its_queues_and_nothing_else() -> None:
    serving = principal("engine", Role.ENGINE, queues=("default",))
    other = principal("other", Role.ENGINE, queues=("trips",))
    child = given(started(parent=Parent(execution_id=EXECUTION, key="hotel", round=1)))

    child.when(cancel(by=serving)).then(Cancelled)
    child.when(cancel(by=other)).then_refused(RefusalCode.NOT_FOUND)
    given(started()).when(cancel(by=serving)).then_refused(RefusalCode.FORBIDDEN)
