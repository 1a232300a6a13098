"""Cancelling: decide the commands about it, and apply their events.

A cancellation ends the execution at once, unless its workflow cleans up. Then it is recorded as
requested. Pending approvals are withdrawn, and nothing more can be asked or redeemed. The worker
runs the clean-up, and whatever it reports as the end is recorded as Cancelled. If that takes too
long, the server ends the execution.
"""

from domain import validation
from domain.approvals.decide import withdraw_pending
from domain.approvals.state import Approval
from domain.execution.commands import CancelExecution, EndCancellation
from domain.execution.event import (
    ReasonContent,
)
from domain.execution.events import (
    CancellationRequested,
    Cancelled,
    ErrorContent,
    Events,
    Recorded,
    Resumed,
    StepFailed,
)
from domain.execution.state import Changes, Execution, Step
from domain.execution.transitions import check_transition
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode
from domain.values import ExecutionState

WITHDRAWN = "the execution was cancelled"
IN_DOUBT = (
    "Doubt: the execution was cancelled while this was under way, with a redeemed approval: it may"
    " have been done"
)


def cancel(state: Execution, command: CancelExecution) -> Events:
    """Cancel the execution, and withdraw its pending approvals.

    A parked one ends at once, because no worker may clean up.
    """
    if state.state is ExecutionState.CANCELLED or state.cancelling:
        return ()
    check_transition(state, Cancelled)
    withdrawn = withdraw_pending(state, WITHDRAWN)
    if not state.cleans_up or state.parked is not None:
        return (*withdrawn, *_in_doubt(state), _cancelled(command.reason))
    requested = CancellationRequested(content=ReasonContent(reason=command.reason))
    return (requested, *withdrawn, Resumed()) if withdrawn else (requested,)


def ended(state: Execution, remark: str = "") -> Events:
    """End an execution whose clean-up is over. ``remark`` follows the reason."""
    check_transition(state, Cancelled)
    reason = state.cancel_reason or ""
    if remark:
        reason = f"{reason}; {remark}"[: validation.MAX_TEXT]
    return (*_in_doubt(state), _cancelled(reason))


def end_cancellation(state: Execution, command: EndCancellation) -> Events:
    """End an execution whose clean-up took too long. It is a repeat if it has ended meanwhile."""
    if state.cleaned_up:
        return ()
    if not state.cancelling:
        message = f"no cancellation of execution {state.id} was requested"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)
    return ended(state, command.why)


def _cancelled(reason: str) -> Cancelled:
    return Cancelled(content=ReasonContent(reason=reason))


def _in_doubt(state: Execution) -> Events:
    """Record for each redeemed approval without an outcome that it may have been carried out.

    The outcome of a redemption is the step that is recorded under its key.
    """
    return tuple(
        _doubt(approval.redemption_key, state.steps.get(approval.redemption_key))
        for approval in state.approvals_in_order()
        if approval.redemption_key is not None and not _has_outcome(state, approval)
    )


def _has_outcome(state: Execution, approval: Approval) -> bool:
    step = state.steps.get(approval.redemption_key or "")
    if step is None:
        return False
    failed_since = any(version > approval.redeemed_version for _, _, version in step.failures)
    return step.completed_at is not None or failed_since


def _doubt(key: str, step: Step | None) -> StepFailed:
    return StepFailed(
        key=key,
        name=key if step is None else step.name,
        attempt=1 if step is None else step.attempts + 1,
        content=ErrorContent(error=IN_DOUBT),
    )


def clean_up_declared(state: Execution) -> Changes:
    """Note that the workflow cleans up after a cancellation."""
    if state.cleans_up:
        msg = f"the clean-up of {state.id} was declared already"
        raise IllegalTransitionError(msg)
    return {"cleans_up": True}


def cancellation_requested(
    state: Execution, recorded: Recorded, event: CancellationRequested
) -> Changes:
    """Note the cancellation, which gives a waiting worker something to do."""
    if state.cancel_requested_version or not state.cleans_up:
        msg = f"{state.id} does not wait for a clean-up"
        raise IllegalTransitionError(msg)
    return {
        "cancel_reason": event.content.reason,
        "cancel_requested_at": recorded.at,
        "cancel_requested_version": recorded.version,
        "woken_version": recorded.version,
    }
