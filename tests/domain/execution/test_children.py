"""Children: started once a round, and ended by the service."""

import pytest

from domain.authorization import SERVICE
from domain.execution.children import child_id
from domain.execution.events import ChildEnded, ChildStarted
from domain.refusals import RefusalCode
from domain.values import ExecutionState, Principal, Role
from tests.domain.ask import EXECUTION, Ask, end_child, start_child
from tests.domain.facts import child_ended, child_started, failed, retried, started
from tests.domain.people import principal
from tests.domain.scenario import given


def test_a_child_has_an_id_that_follows_from_its_parent() -> None:
    [event] = given(started()).when(start_child(input=1)).recorded

    assert isinstance(event, ChildStarted)
    assert event.child_id == child_id(EXECUTION, "hotel", 1)
    assert event.child_id != child_id(EXECUTION, "hotel", 2) != child_id(EXECUTION, "bus", 2)


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
