"""Children: deciding about them, and folding what became of them."""

from uuid import UUID, uuid5

from msgspec.structs import replace

from domain.execution.commands import EndChild, StartChild
from domain.execution.events import (
    ChildContent,
    ChildEnded,
    ChildStarted,
    Events,
    Recorded,
    StartedContent,
)
from domain.execution.state import Changes, Child, Execution
from domain.execution.transitions import check_transition
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode
from domain.serialization.canonical_json import same
from domain.values import ExecutionState


def start_child(state: Execution, command: StartChild) -> Events:
    """Start a child, known by its key and round.

    As with approvals, a new round opens only if the execution was retried since and the last
    round did not complete.
    """
    last = state.children.get(command.key)
    if last is not None and not _opens_new_round(state, last):
        unchanged = (last.workflow, last.workflow_version, last.queue) == (
            command.workflow,
            command.workflow_version,
            command.queue,
        )
        if not (unchanged and same(last.input, command.input)):
            message = f"child {command.key!r} was started with other content"
            raise Refusal(RefusalCode.KEY_REUSED, message)
        return ()
    check_transition(state, ChildStarted)
    round_ = 1 if last is None else last.round + 1
    return (
        ChildStarted(
            key=command.key,
            round=round_,
            child_id=child_id(state.id, command.key, round_),
            workflow=command.workflow,
            workflow_version=command.workflow_version,
            queue=command.queue,
            content=StartedContent(input=command.input),
        ),
    )


def child_id(parent: UUID, key: str, round_: int) -> UUID:
    """Give the id of a child: the same whoever starts it, and however often."""
    return uuid5(parent, f"{round_}/{key}")


def _opens_new_round(state: Execution, last: Child) -> bool:
    retried_since = len(state.retried_from) > last.retry
    return retried_since and last.outcome not in {None, ExecutionState.COMPLETED}


def end_child(state: Execution, command: EndChild) -> Events:
    """Tell a parent how a child ended; a child of an earlier round is of no interest any more."""
    child = state.children.get(command.key)
    if child is None or child.round < command.round:
        message = f"{state.id} has no child {command.key!r} of round {command.round}"
        raise Refusal(RefusalCode.NOT_FOUND, message)
    if child.round > command.round or child.outcome is not None:
        return ()
    check_transition(state, ChildEnded)
    return (
        ChildEnded(
            key=command.key,
            round=command.round,
            outcome=command.outcome,
            content=ChildContent(result=command.result, error=command.error),
        ),
    )


def child_started(state: Execution, recorded: Recorded, event: ChildStarted) -> Changes:
    last = state.children.get(event.key)
    if event.round != (1 if last is None else last.round + 1):
        msg = f"round {event.round} of child {event.key!r} of {state.id} is out of order"
        raise IllegalTransitionError(msg)
    child = Child(
        key=event.key,
        round=event.round,
        id=event.child_id,
        workflow=event.workflow,
        workflow_version=event.workflow_version,
        queue=event.queue,
        input=event.content.input,
        retry=len(state.retried_from),
        started_version=recorded.version,
    )
    return {"children": state.children.insert(event.key, child)}


def child_ended(state: Execution, recorded: Recorded, event: ChildEnded) -> Changes:
    child = state.children.get(event.key)
    if child is None or child.round != event.round or child.outcome is not None:
        msg = f"round {event.round} of child {event.key!r} of {state.id} is not under way"
        raise IllegalTransitionError(msg)
    ended = replace(child, outcome=event.outcome, ended_version=recorded.version)
    return {
        "children": state.children.insert(event.key, ended),
        "woken_version": recorded.version,
    }
