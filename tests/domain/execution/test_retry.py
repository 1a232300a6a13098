"""Only a failed execution is retried, by somebody who has seen its current version."""

import pytest

from domain.approvals.state import ApprovalStatus
from domain.execution.events import Completed, Retried
from domain.refusals import RefusalCode
from domain.values import ExecutionState
from tests.domain.ask import complete, fail, retry
from tests.domain.facts import (
    Fact,
    cancelled,
    claimed,
    completed,
    failed,
    granted,
    requested,
    resumed,
    retried,
    started,
    step_completed,
)
from tests.domain.scenario import given


def test_a_retry_runs_the_execution_again_and_forgets_its_end() -> None:
    outcome = given(started(), claimed(), failed()).when(retry()).then(Retried())

    state = outcome.state
    assert state.state is ExecutionState.RUNNING
    assert (state.error, state.ended_at, state.ended_version) == (None, None, 0)
    assert state.retried_from == (3,)
    assert state.fence == 1


def test_steps_and_granted_approvals_keep_their_results() -> None:
    history = given(
        started(), step_completed("a", result=1), requested(), granted(), resumed(), failed()
    )

    outcome = history.when(retry()).then(Retried)

    assert outcome.state.steps["a"].result == 1
    assert outcome.approval(1).status is ApprovalStatus.GRANTED


@pytest.mark.parametrize("expected_version", [0, 1, 3, -5, 2**40])
def test_a_retry_of_an_old_version_is_refused(expected_version: int) -> None:
    given(started(), failed()).when(retry(expected_version=expected_version)).then_refused(
        RefusalCode.VERSION_CONFLICT, "at version 2"
    )


@pytest.mark.parametrize(
    "facts",
    [(), (requested(),), (requested(), granted(), resumed()), (completed(),), (cancelled(),)],
)
def test_only_a_failed_execution_is_retried(facts: tuple[Fact, ...]) -> None:
    given(started(), *facts).when(retry()).then_refused(RefusalCode.INVALID_TRANSITION, "Retried")


def test_the_same_retry_again_is_a_repeat_whatever_happened_since() -> None:
    history = given(started(), failed(), retried(), completed())

    history.when(retry(expected_version=2)).then_repeated()
    history.when(retry(expected_version=3)).then_refused(RefusalCode.VERSION_CONFLICT)


def test_it_may_fail_and_be_retried_as_often_as_it_takes() -> None:
    history = given(started(), failed())
    for expected_version in (2, 4, 6):
        history.when(retry(expected_version=expected_version)).then(Retried)
        history.when(fail(error=f"again after {expected_version}"))

    assert history.state.retried_from == (2, 4, 6)
    history.when(retry(expected_version=4)).then_repeated()
    history.when(retry()).when(complete()).then(Completed)
