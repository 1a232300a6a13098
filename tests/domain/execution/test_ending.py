"""An execution ends once, one way, and leaves no approval pending."""

import pytest

from domain.approvals.events import (
    ApprovalWithdrawn,
)
from domain.approvals.state import ApprovalStatus, ResolutionCause
from domain.execution.event import (
    ReasonContent,
)
from domain.execution.events import (
    Cancelled,
    Completed,
    ErrorContent,
    Failed,
    ResultContent,
)
from domain.refusals import RefusalCode
from domain.values import ExecutionState
from tests.domain.ask import Ask, cancel, complete, fail
from tests.domain.facts import (
    Fact,
    cancelled,
    completed,
    failed,
    granted,
    requested,
    resumed,
    started,
)
from tests.domain.scenario import given


def test_completion_keeps_the_result() -> None:
    outcome = (
        given(started())
        .when(complete(result={"booked": True}))
        .then(Completed(content=ResultContent(result={"booked": True})))
    )

    assert outcome.state.state is ExecutionState.COMPLETED
    assert (outcome.state.result, outcome.state.error) == ({"booked": True}, None)
    assert (outcome.state.ended_at, outcome.state.ended_version) == (outcome.log[-1].at, 2)


def test_a_resumed_execution_may_complete_at_once() -> None:
    given(started(), requested(), granted(), resumed()).when(complete()).then(Completed)


def test_nothing_completes_while_an_approval_is_pending() -> None:
    given(started(), requested()).when(complete()).then_refused(
        RefusalCode.INVALID_TRANSITION, "WAITING_APPROVAL"
    )


def test_failure_keeps_the_error() -> None:
    outcome = (
        given(started())
        .when(fail(error="no train"))
        .then(Failed(content=ErrorContent(error="no train")))
    )

    assert outcome.state.state is ExecutionState.FAILED
    assert (outcome.state.error, outcome.state.result) == ("no train", None)


def test_cancellation_keeps_the_reason() -> None:
    outcome = (
        given(started())
        .when(cancel(reason="not now"))
        .then(Cancelled(content=ReasonContent(reason="not now")))
    )

    assert outcome.state.state is ExecutionState.CANCELLED
    assert outcome.state.error == "not now"


@pytest.mark.parametrize(
    ("ask", "ending", "reason"),
    [(fail(), Failed, "the execution failed"), (cancel(), Cancelled, "was cancelled")],
)
def test_an_end_withdraws_what_is_pending_and_does_not_resume(
    ask: Ask, ending: type[Failed | Cancelled], reason: str
) -> None:
    outcome = (
        given(started(), requested("a"), requested("b"), requested("c"), granted(ordinal=2))
        .when(ask)
        .then(ApprovalWithdrawn, ApprovalWithdrawn, ending)
    )

    assert outcome.state.pending == 0
    assert [a.status for a in outcome.state.approvals_in_order()] == [
        ApprovalStatus.WITHDRAWN,
        ApprovalStatus.GRANTED,
        ApprovalStatus.WITHDRAWN,
    ]
    assert outcome.approval(1).resolution is ResolutionCause.WITHDRAWAL
    event = outcome.log[-2].event
    assert isinstance(event, ApprovalWithdrawn)
    assert reason in event.content.reason


ENDINGS = [
    pytest.param(completed(), complete(result="other"), id="completed"),
    pytest.param(failed(), fail(error="other"), id="failed"),
    pytest.param(cancelled(), cancel(reason="other"), id="cancelled"),
]


@pytest.mark.parametrize(("ending", "ask"), ENDINGS)
def test_ending_again_the_same_way_is_a_repeat(ending: Fact, ask: Ask) -> None:
    given(started(), ending).when(ask).then_repeated()


@pytest.mark.parametrize(
    ("ending", "ask"),
    [
        (completed(), fail()),
        (completed(), cancel()),
        (failed(), complete()),
        (failed(), cancel()),
        (cancelled(), complete()),
        (cancelled(), fail()),
    ],
)
def test_ending_again_another_way_is_refused(ending: Fact, ask: Ask) -> None:
    given(started(), ending).when(ask).then_refused(RefusalCode.INVALID_TRANSITION)
