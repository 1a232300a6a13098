"""Children: decide the commands about them, and apply their events."""

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
from domain.identifiers import child_id
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode
from domain.serialization.canonical_json import same
from domain.values import ExecutionState, ParentEnd


def start_child(state: Execution, command: StartChild) -> Events:
    """Start a child. A key that was used before is a repeat, or opens a new round."""
    last = state.children.get(command.key)
    if last is not None and not _opens_new_round(state, last):
        unchanged = (
            last.workflow,
            last.workflow_version,
            last.queue,
            last.on_parent_end,
        ) == (
            command.workflow,
            command.workflow_version,
            command.queue,
            command.on_parent_end,
        )
        if not (unchanged and same(last.input, command.input)):
            message = (
                f"child {command.key!r} was already started with other content; "
                "give a different child its own key"
            )
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
            on_parent_end=command.on_parent_end,
            content=StartedContent(input=command.input),
        ),
    )


def _opens_new_round(state: Execution, last: Child) -> bool:
    """A start after a retry opens a new round if the last one ended and did not complete."""
    ended_otherwise = last.outcome not in {None, ExecutionState.COMPLETED}
    return state.retried_since(last.retry) and ended_otherwise


def ends_with_parent(child: Child, parent: ExecutionState) -> bool:
    """Whether a child that goes on is to be cancelled when its parent has ended in this state."""
    if child.on_parent_end is None or child.on_parent_end is ParentEnd.WAIT:
        return parent is ExecutionState.CANCELLED
    return child.on_parent_end is ParentEnd.CANCEL


def end_child(state: Execution, command: EndChild) -> Events:
    """Record how a child ended. It is a repeat if it had ended or a later round has begun."""
    child = state.children.get(command.key)
    if child is None or child.round < command.round:
        message = f"execution {state.id} has no child {command.key!r} of round {command.round}"
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
    """Add the child, in place of the last round of its key."""
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
        on_parent_end=event.on_parent_end,
        input=event.content.input,
        retry=len(state.retried_from),
        started_version=recorded.version,
    )
    return {"children": state.children.insert(event.key, child)}


def child_ended(state: Execution, recorded: Recorded, event: ChildEnded) -> Changes:
    """Record the outcome, which gives a waiting worker something to do."""
    child = state.children.get(event.key)
    if child is None or child.round != event.round or child.outcome is not None:
        msg = f"round {event.round} of child {event.key!r} of {state.id} is not under way"
        raise IllegalTransitionError(msg)
    ended = replace(child, outcome=event.outcome, ended_version=recorded.version)
    return {
        "children": state.children.insert(event.key, ended),
        "woken_version": recorded.version,
    }
