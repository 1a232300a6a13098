"""Steps: the first success stays, and each failed attempt is kept."""

import pytest

from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    ErrorContent,
    ResultContent,
    StepCompleted,
    StepFailed,
)
from domain.refusals import RefusalCode
from domain.values import ExecutionState
from tests.domain.ask import Ask, step
from tests.domain.facts import (
    Fact,
    cancelled,
    completed,
    failed,
    granted,
    requested,
    resumed,
    retried,
    started,
    step_completed,
    step_failed,
)
from tests.domain.scenario import given


def test_a_step_keeps_its_result() -> None:
    outcome = (
        given(started())
        .when(step("book", name="Book it", attempt=2, result={"seat": 4}))
        .then(
            StepCompleted(
                key="book", name="Book it", attempt=2, content=ResultContent(result={"seat": 4})
            )
        )
    )

    kept = outcome.state.steps["book"]
    assert (kept.name, kept.ordinal, kept.attempts) == ("Book it", 1, 2)
    assert (kept.result, kept.error) == ({"seat": 4}, None)
    assert (kept.completed_at, kept.completed_version) == (outcome.log[-1].at, 2)


def test_a_step_without_a_result_has_succeeded_all_the_same() -> None:
    outcome = given(started()).when(step("book")).then(StepCompleted)

    assert outcome.state.steps["book"].completed_at is not None
    outcome.when(step("book", result="late")).then_repeated()


def test_a_failed_attempt_is_kept_and_the_execution_goes_on() -> None:
    outcome = (
        given(started())
        .when(step("book", error="no seat"))
        .then(StepFailed(key="book", name="book", attempt=1, content=ErrorContent(error="no seat")))
        .when(step("book", attempt=2, error="no train"))
        .then(StepFailed)
    )

    kept = outcome.state.steps["book"]
    assert outcome.state.state is ExecutionState.RUNNING
    assert (kept.attempts, kept.error, kept.completed_at) == (2, "no train", None)
    assert kept.failures == ((1, "no seat", 2), (2, "no train", 3))


def test_a_success_after_failures_clears_the_error_and_keeps_the_failures() -> None:
    outcome = (
        given(started(), step_failed("book", attempt=1))
        .when(step("book", attempt=2, result="ok"))
        .then(StepCompleted)
    )

    kept = outcome.state.steps["book"]
    assert (kept.attempts, kept.result, kept.error) == (2, "ok", None)
    assert len(kept.failures) == 1


@pytest.mark.parametrize(
    "again",
    [
        step("book", result="first"),
        step("book", result="second"),
        step("book", attempt=9, result="first"),
        step("book", attempt=9, error="a late failure"),
    ],
)
def test_the_first_success_stays(again: Ask) -> None:
    outcome = given(started(), step_completed("book", result="first")).when(again).then_repeated()

    assert outcome.state.steps["book"].result == "first"


def test_a_failed_attempt_is_known_by_its_number() -> None:
    history = given(started(), step_failed("book", attempt=1, error="no seat"))

    history.when(step("book", attempt=1, error="no seat")).then_repeated()
    history.when(step("book", attempt=1, error="no train")).then_refused(
        RefusalCode.KEY_REUSED, "attempt 1"
    )


def test_a_failed_attempt_is_known_also_after_the_success() -> None:
    history = given(
        started(), step_failed("book", error="no seat"), step_completed("book", attempt=2)
    )

    history.when(step("book", attempt=1, error="no seat")).then_repeated()
    history.when(step("book", attempt=1, error="no train")).then_refused(RefusalCode.KEY_REUSED)


@pytest.mark.parametrize("past", [step_completed("book"), step_failed("book")])
@pytest.mark.parametrize("ask", [step("book", name="Other"), step("book", name="O", error="e")])
def test_a_step_keeps_its_name(past: Fact, ask: Ask) -> None:
    given(started(), past).when(ask).then_refused(RefusalCode.KEY_REUSED, "'book'")


def test_steps_stand_in_the_order_of_their_first_attempts() -> None:
    outcome = (
        given(started(), step_failed("b"), step_completed("a"))
        .when(step("b", attempt=2))
        .then(StepCompleted)
    )

    assert [each.key for each in outcome.state.steps_in_order()] == ["b", "a"]


def test_a_step_takes_a_resumed_execution_back_to_running() -> None:
    resumed_execution = given(started(), requested(), granted(), resumed())

    for ask in (step("book"), step("book", error="no seat")):
        history = given(started(), requested(), granted(), resumed()).when(ask)
        assert history.state.state is ExecutionState.RUNNING
    assert resumed_execution.state.state is ExecutionState.RESUMED


def test_parallel_branches_go_on_while_an_approval_is_pending() -> None:
    outcome = given(started(), requested()).when(step("book")).then(StepCompleted)

    assert outcome.state.state is ExecutionState.WAITING_APPROVAL


@pytest.mark.parametrize("ending", [completed(), failed(), cancelled()])
def test_an_ended_execution_takes_no_new_step_but_knows_its_old_ones(ending: Fact) -> None:
    history = given(started(), step_completed("old"), step_failed("tried"), ending)

    history.when(step("new")).then_refused(RefusalCode.INVALID_TRANSITION, "StepCompleted")
    history.when(step("new", error="e")).then_refused(RefusalCode.INVALID_TRANSITION, "StepFailed")
    history.when(step("old")).then_repeated()
    history.when(step("tried", error="no seat left")).then_repeated()


def test_completed_steps_keep_their_results_over_a_retry() -> None:
    history = given(started(), step_completed("book", result=1), failed(), retried())

    history.when(step("book", result=2)).then_repeated()
    assert history.state.steps["book"].result == 1


@pytest.mark.parametrize("error", [None, "no seat"])
def test_the_digest_of_its_arguments_is_kept_in_the_event(error: str | None) -> None:
    event: Event = StepCompleted(key="book", name="book", attempt=1, arguments_digest="sha256:a")
    if error is not None:
        event = StepFailed(
            key="book",
            name="book",
            attempt=1,
            arguments_digest="sha256:a",
            content=ErrorContent(error=error),
        )
    given(started()).when(step("book", error=error, arguments_digest="sha256:a")).then(event)


def test_a_digest_that_is_no_name_is_refused() -> None:
    given(started()).when(step("book", arguments_digest=" ")).then_refused(
        RefusalCode.INVALID_INPUT, "argumentsDigest must not be empty"
    )
