"""The life of an execution as a whole: start, claims, end and retry.

The commands are decided first; the functions below apply the events.
"""

from domain.approvals.decide import withdraw_pending
from domain.execution import cancellation
from domain.execution.commands import (
    ClaimExecution,
    CompleteExecution,
    FailExecution,
    RetryExecution,
    StartExecution,
)
from domain.execution.events import (
    Cancelled,
    Claimed,
    CleanUpDeclared,
    Completed,
    ErrorContent,
    Events,
    Failed,
    Recorded,
    ResultContent,
    Retried,
    Started,
    StartedContent,
)
from domain.execution.state import Changes, Execution
from domain.execution.transitions import check_transition, target
from domain.identifiers import is_reserved_id
from domain.names import same_name
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode
from domain.serialization.canonical_json import same
from domain.values import ExecutionState


def start(state: Execution | None, command: StartExecution) -> Events:
    """Start the execution. It is a repeat if the same caller started it with the same content."""
    if command.problem:
        raise Refusal(RefusalCode.INVALID_INPUT, command.problem)
    if state is None:
        _check_reserved(command)
        return (
            Started(
                workflow=command.workflow,
                workflow_version=command.workflow_version,
                queue=command.queue,
                key=command.key,
                on_behalf_of=command.on_behalf_of,
                parent=command.parent,
                content=StartedContent(
                    input=command.input, labels=tuple(sorted(set(command.labels)))
                ),
            ),
        )
    unchanged = (
        (state.workflow, state.workflow_version, state.queue, state.key)
        == (command.workflow, command.workflow_version, command.queue, command.key)
        and same_name(state.on_behalf_of, command.on_behalf_of)
        and (command.execution_id == state.id or command.given_id is None)
        and same_name(state.initiator.id, command.by.id)
        and state.parent == command.parent
        and set(state.labels) == set(command.labels)
        and same(state.input, command.input)
    )
    if not unchanged:
        message = (
            "an execution with this id or idempotency key was already started with other content; "
            "give a different execution its own id and key"
        )
        raise Refusal(RefusalCode.KEY_REUSED, message)
    return ()


def _check_reserved(command: StartExecution) -> None:
    """Nobody may take the id of a child or a standing grant before it exists."""
    if command.parent is None and is_reserved_id(command.execution_id):
        message = (
            f"id {command.execution_id} is a UUID of version 8, which is reserved for children and "
            "standing grants; choose one of another version, such as 4 or 7"
        )
        raise Refusal(RefusalCode.INVALID_INPUT, message)


def claim(state: Execution, command: ClaimExecution) -> Events:
    """Give the execution to a worker, with a fencing token that makes earlier ones stale."""
    check_transition(state, Claimed)
    taken_over = command.takes_over and state.workable
    claimed = Claimed(worker=command.worker, fence=state.fence + 1, taken_over=taken_over)
    # Claimed comes last, because the worker is told of the execution as it is after that.
    declares = command.cleans_up and not state.cleans_up
    return (CleanUpDeclared(), claimed) if declares else (claimed,)


def complete(state: Execution, command: CompleteExecution) -> Events:
    """Complete the execution. If it is being cancelled, its clean-up has ended."""
    if state.state is ExecutionState.COMPLETED or state.cleaned_up:
        return ()
    if state.cancelling:
        return cancellation.ended(state)
    check_transition(state, Completed)
    return (Completed(content=ResultContent(result=command.result)),)


def fail(state: Execution, command: FailExecution) -> Events:
    """Fail the execution, and withdraw its pending approvals.

    If it is being cancelled, its clean-up has failed.
    """
    if state.state is ExecutionState.FAILED or state.cleaned_up:
        return ()
    if state.cancelling:
        return cancellation.ended(state, f"the clean-up failed: {command.error}")
    check_transition(state, Failed)
    event = Failed(content=ErrorContent(error=command.error))
    return (*withdraw_pending(state, "the execution failed"), event)


def retry(state: Execution, command: RetryExecution) -> Events:
    """Let a failed execution go on. It is a repeat if it was retried from this version.

    Comments on its approvals may have come after the failure, so each version since then is that of
    the same failure.
    """
    if retried_after(state, command.expected_version) is not None:
        return ()
    failed = state.ended_version or state.version
    if not failed <= command.expected_version <= state.version:
        message = (
            f"execution {state.id} is at version {state.version}, not "
            f"{command.expected_version}; read it again before retrying"
        )
        raise Refusal(RefusalCode.VERSION_CONFLICT, message)
    check_transition(state, Retried)
    return (Retried(),)


def retried_after(state: Execution, version: int) -> int | None:
    """Return the version before the retry of the failure that was seen at ``version``, or None."""
    spans = zip(state.failed_at, state.retried_from, strict=True)
    return next((last for first, last in spans if first <= version <= last), None)


def started(recorded: Recorded) -> Execution:
    """Return the state after the first event."""
    event = recorded.event
    if not isinstance(event, Started) or recorded.version != 1:
        msg = f"{recorded.execution_id} does not begin with Started at version 1"
        raise IllegalTransitionError(msg)
    return Execution(
        id=recorded.execution_id,
        version=1,
        state=target(None, Started),
        workflow=event.workflow,
        workflow_version=event.workflow_version,
        queue=event.queue,
        key=event.key,
        initiator=recorded.actor,
        on_behalf_of=event.on_behalf_of,
        parent=event.parent,
        input=event.content.input,
        labels=event.content.labels,
        started_at=recorded.at,
        updated_at=recorded.at,
        woken_version=0,
    )


def claimed(recorded: Recorded, event: Claimed) -> Changes:
    """Record the worker, the owner of its token, and its fencing token."""
    return {"worker": event.worker, "holder": recorded.actor.id, "fence": event.fence}


def completed(recorded: Recorded, event: Completed) -> Changes:
    """Record the result."""
    return {"result": event.content.result, **_ending(recorded)}


def failed(recorded: Recorded, event: Failed) -> Changes:
    """Record the error."""
    return {"error": event.content.error, **_ending(recorded)}


def cancelled(recorded: Recorded, event: Cancelled) -> Changes:
    """Record the reason."""
    return {"error": event.content.reason, **_ending(recorded)}


def _ending(recorded: Recorded) -> Changes:
    """Return what every end changes."""
    return {
        "ended_at": recorded.at,
        "ended_version": recorded.version,
        "parked": None,
        "parked_version": 0,
    }


def retried(state: Execution) -> Changes:
    """Undo the end. The steps and approvals stay."""
    return {
        "error": None,
        "ended_at": None,
        "ended_version": 0,
        "failed_at": (*state.failed_at, state.ended_version),
        "retried_from": (*state.retried_from, state.version),
    }
