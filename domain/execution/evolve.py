"""The fold: one recorded event at a time, by the transition table. It never ignores an event."""

from collections.abc import Iterable
from functools import reduce
from typing import Any

from msgspec.structs import replace

from domain.approvals.policy import ExpiryAction
from domain.approvals.state import Approval, ApprovalStatus, Decision, ResolutionCause, Verdict
from domain.execution.events import (
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalWithdrawn,
    Cancelled,
    ChildEnded,
    ChildStarted,
    Claimed,
    Completed,
    Failed,
    Parked,
    Recorded,
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
from domain.execution.state import Child, Execution, Signal, Step, Timer
from domain.execution.transitions import target
from domain.identifiers import ApprovalId
from domain.refusals import IllegalTransitionError
from domain.values import Actor

_LETS_SLEEP = (Claimed, Parked)


def fold(state: Execution | None, events: Iterable[Recorded]) -> Execution | None:
    """Fold events, which follow one another without a gap, into a state."""
    return reduce(evolve, events, state)


def evolve(state: Execution | None, recorded: Recorded) -> Execution:
    """Give the state after the event.

    Raises IllegalTransitionError if the transition table does not allow the event, if it is not
    the next version of this execution, or if it does not fit the step or approval it is about.
    """
    event = recorded.event
    moved_to = target(None if state is None else state.state, type(event))
    if state is None:
        return _start(recorded)
    if (recorded.execution_id, recorded.version) != (state.id, state.version + 1):
        msg = (
            f"version {recorded.version} of {recorded.execution_id} "
            f"can't follow version {state.version} of {state.id}"
        )
        raise IllegalTransitionError(msg)
    changes = _changes(state, recorded)
    if state.asleep_version and not isinstance(event, _LETS_SLEEP):
        changes.setdefault("asleep_version", 0)
    return replace(
        state, version=recorded.version, state=moved_to, updated_at=recorded.at, **changes
    )


def _start(recorded: Recorded) -> Execution:
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


def _changes(state: Execution, recorded: Recorded) -> dict[str, Any]:
    event = recorded.event
    match event:
        case StepCompleted() | StepFailed():
            return _step(state, recorded, event)
        case ApprovalRequested():
            return _request(state, recorded, event)
        case ApprovalGranted() | ApprovalRejected():
            return _decide(state, recorded, event)
        case Resumed():
            if state.pending:
                msg = f"{state.id} can't resume with {state.pending} approvals pending"
                raise IllegalTransitionError(msg)
            return {}
        case ApprovalRedeemed():
            return _redeem(state, recorded, event)
        case Claimed():
            return {"worker": event.worker, "fence": event.fence}
        case ApprovalWithdrawn():
            return _resolve(
                state,
                recorded,
                _approval(state, event.ordinal),
                ApprovalStatus.WITHDRAWN,
                ResolutionCause.WITHDRAWAL,
            )
        case ApprovalExpired():
            granted = event.action is ExpiryAction.GRANT
            return _resolve(
                state,
                recorded,
                _approval(state, event.ordinal),
                ApprovalStatus.GRANTED if granted else ApprovalStatus.EXPIRED,
                ResolutionCause.EXPIRY,
            )
        case ApprovalDelegated():
            approval = _approval(state, event.ordinal)
            delegation = (recorded.actor.id, event.to)
            delegated = replace(approval, delegations=(*approval.delegations, delegation))
            return {"approvals": state.approvals.insert(event.ordinal, delegated)}
        case ApprovalEscalated():
            approval = _approval(state, event.ordinal)
            escalated = replace(approval, escalated_to=(*approval.escalated_to, *event.groups))
            return {"approvals": state.approvals.insert(event.ordinal, escalated)}
        case TimerSet():
            return _set_timer(state, recorded, event)
        case TimerFired():
            return {**_end_timer(state, recorded, event.key), "woken_version": recorded.version}
        case TimerCancelled():
            return _end_timer(state, recorded, event.key, cancelled=True)
        case SignalReceived():
            return _receive(state, recorded, event)
        case ChildStarted():
            return _start_child(state, recorded, event)
        case ChildEnded():
            return _end_child(state, recorded, event)
        case Suspended():
            return {"asleep_version": recorded.version}
        case Parked():
            _check_parked(state, expected=False)
            return {"parked": event.content.reason, "parked_version": recorded.version}
        case Unparked():
            _check_parked(state, expected=True)
            return {
                "parked": None,
                "parked_version": 0,
                "unparked_version": recorded.version,
                "woken_version": recorded.version,
            }
        case Completed():
            return {"result": event.content.result, **_ending(recorded)}
        case Failed():
            return {"error": event.content.error, **_ending(recorded)}
        case Cancelled():
            return {"error": event.content.reason, **_ending(recorded)}
        case Retried():
            return {
                "error": None,
                "ended_at": None,
                "ended_version": 0,
                "retried_from": (*state.retried_from, state.version),
            }
        case _:
            msg = f"no fold for {type(event).__name__}"
            raise IllegalTransitionError(msg)


def _ending(recorded: Recorded) -> dict[str, Any]:
    return {
        "ended_at": recorded.at,
        "ended_version": recorded.version,
        "parked": None,
        "parked_version": 0,
    }


def _step(
    state: Execution, recorded: Recorded, event: StepCompleted | StepFailed
) -> dict[str, Any]:
    step = state.steps.get(event.key) or Step(
        key=event.key, name=event.name, ordinal=len(state.steps) + 1, attempts=0
    )
    if step.completed_at is not None:
        msg = f"step {event.key!r} of {state.id} completed already"
        raise IllegalTransitionError(msg)
    attempts = max(step.attempts, event.attempt)
    if isinstance(event, StepCompleted):
        step = replace(
            step,
            attempts=attempts,
            result=event.content.result,
            completed_at=recorded.at,
            completed_version=recorded.version,
        )
    else:
        failure = (event.attempt, event.content.error, recorded.version)
        step = replace(step, attempts=attempts, failures=(*step.failures, failure))
    return {"steps": state.steps.insert(event.key, step)}


def _request(state: Execution, recorded: Recorded, event: ApprovalRequested) -> dict[str, Any]:
    if event.ordinal != len(state.approvals) + 1:
        msg = f"approval {event.ordinal} of {state.id} is out of order"
        raise IllegalTransitionError(msg)
    approval = Approval(
        id=ApprovalId(state.id, event.ordinal),
        key=event.key,
        round=event.round,
        title=event.content.title,
        description=event.content.description,
        payload=event.content.payload,
        payload_digest=event.payload_digest,
        digest=event.digest,
        form=event.content.form,
        policy=event.policy,
        requested_by=recorded.actor,
        requested_at=recorded.at,
        requested_version=recorded.version,
        deadline=event.deadline,
        retry=len(state.retried_from),
    )
    return {
        "approvals": state.approvals.insert(event.ordinal, approval),
        "rounds": state.rounds.insert(event.key, event.ordinal),
        "pending": state.pending + 1,
    }


def _decide(
    state: Execution, recorded: Recorded, event: ApprovalGranted | ApprovalRejected
) -> dict[str, Any]:
    granted = isinstance(event, ApprovalGranted)
    approval = _approval(state, event.ordinal)
    decision = Decision(
        verdict=Verdict.GRANTED if granted else Verdict.REJECTED,
        by=recorded.actor,
        at=recorded.at,
        version=recorded.version,
        digest=event.digest,
        rule=event.rule,
        groups=event.groups,
        on_behalf_of=_stood_in_for(event),
        comment=event.content.comment,
        answers=event.content.answers,
    )
    approval = replace(approval, decisions=(*approval.decisions, decision))
    if not event.resolves:
        return {"approvals": state.approvals.insert(event.ordinal, approval)}
    status = ApprovalStatus.GRANTED if granted else ApprovalStatus.REJECTED
    return _resolve(state, recorded, approval, status, ResolutionCause.DECISIONS)


def _stood_in_for(event: ApprovalGranted | ApprovalRejected) -> Actor | None:
    if event.on_behalf_of is None:
        return None
    return Actor(id=event.on_behalf_of, name=event.content.on_behalf_of_name)


def _redeem(state: Execution, recorded: Recorded, event: ApprovalRedeemed) -> dict[str, Any]:
    approval = _approval(state, event.ordinal, ApprovalStatus.GRANTED)
    if approval.redemption_key is not None:
        msg = f"approval {event.ordinal} of {state.id} was redeemed already"
        raise IllegalTransitionError(msg)
    redeemed = replace(
        approval,
        redeemed_at=recorded.at,
        redeemed_version=recorded.version,
        redemption_key=event.redemption_key,
    )
    return {"approvals": state.approvals.insert(event.ordinal, redeemed)}


def _resolve(
    state: Execution,
    recorded: Recorded,
    approval: Approval,
    status: ApprovalStatus,
    cause: ResolutionCause,
) -> dict[str, Any]:
    resolved = replace(
        approval,
        status=status,
        resolution=cause,
        resolved_at=recorded.at,
        resolved_version=recorded.version,
    )
    return {
        "approvals": state.approvals.insert(approval.ordinal, resolved),
        "pending": state.pending - 1,
        "woken_version": recorded.version,
    }


def _check_parked(state: Execution, *, expected: bool) -> None:
    if (state.parked is not None) is not expected:
        msg = f"{state.id} is {'not ' if expected else ''}parked"
        raise IllegalTransitionError(msg)


def _set_timer(state: Execution, recorded: Recorded, event: TimerSet) -> dict[str, Any]:
    last = state.timers.get(event.key)
    if last is not None and not last.anew(state.retried_from):
        msg = f"timer {event.key!r} of {state.id} was set already"
        raise IllegalTransitionError(msg)
    if event.until is not None:
        fires_at = event.until
    elif event.delay is not None:
        fires_at = recorded.at + event.delay
    else:
        msg = f"timer {event.key!r} of {state.id} does not say when it fires"
        raise IllegalTransitionError(msg)
    timer = Timer(
        key=event.key,
        delay=event.delay,
        until=event.until,
        fires_at=fires_at,
        set_version=recorded.version,
    )
    return {"timers": state.timers.insert(event.key, timer)}


def _end_timer(
    state: Execution, recorded: Recorded, key: str, *, cancelled: bool = False
) -> dict[str, Any]:
    timer = state.timers.get(key)
    if timer is None or not timer.pending:
        msg = f"timer {key!r} of {state.id} is not pending"
        raise IllegalTransitionError(msg)
    done = replace(timer, done_version=recorded.version, cancelled=cancelled)
    return {"timers": state.timers.insert(key, done)}


def _receive(state: Execution, recorded: Recorded, event: SignalReceived) -> dict[str, Any]:
    if event.key in state.signals:
        msg = f"signal {event.key!r} of {state.id} was received already"
        raise IllegalTransitionError(msg)
    signal = Signal(
        key=event.key,
        name=event.name,
        payload=event.content.payload,
        version=recorded.version,
    )
    return {
        "signals": state.signals.insert(event.key, signal),
        "woken_version": recorded.version,
    }


def _start_child(state: Execution, recorded: Recorded, event: ChildStarted) -> dict[str, Any]:
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


def _end_child(state: Execution, recorded: Recorded, event: ChildEnded) -> dict[str, Any]:
    child = state.children.get(event.key)
    if child is None or child.round != event.round or child.outcome is not None:
        msg = f"round {event.round} of child {event.key!r} of {state.id} is not under way"
        raise IllegalTransitionError(msg)
    ended = replace(child, outcome=event.outcome, ended_version=recorded.version)
    return {
        "children": state.children.insert(event.key, ended),
        "woken_version": recorded.version,
    }


def _approval(
    state: Execution, ordinal: int, status: ApprovalStatus = ApprovalStatus.PENDING
) -> Approval:
    approval = state.approvals.get(ordinal)
    if approval is None or approval.status is not status:
        stands = "is missing" if approval is None else f"is {approval.status}"
        msg = f"approval {ordinal} of {state.id} {stands}, not {status}"
        raise IllegalTransitionError(msg)
    return approval
