"""Steps: decide the command that records one, and apply its events.

A step is recorded once. What keeps a recorded step from running again is in the worker: the sdk's
``engine/replay_matcher.py``, and for a step with a clearance ``engine/step_runner.py``.
"""

from msgspec.structs import replace

from domain.execution.commands import RecordStep
from domain.execution.events import (
    ErrorContent,
    Events,
    Recorded,
    ResultContent,
    StepCompleted,
    StepFailed,
)
from domain.execution.state import Changes, Execution, Step
from domain.execution.transitions import check_transition
from domain.refusals import IllegalTransitionError, Refusal, RefusalCode


def record_step(state: Execution, command: RecordStep) -> Events:
    """Record a step's result or a failed attempt. A completed step stays as it is."""
    step = state.steps.get(command.key)
    if step is not None and _step_is_known(step, command):
        return ()
    event_type = StepCompleted if command.error is None else StepFailed
    check_transition(state, event_type)
    if command.error is None:
        return (
            StepCompleted(
                key=command.key,
                name=command.name,
                attempt=command.attempt,
                arguments_digest=command.arguments_digest,
                content=ResultContent(result=command.result),
            ),
        )
    return (
        StepFailed(
            key=command.key,
            name=command.name,
            attempt=command.attempt,
            arguments_digest=command.arguments_digest,
            content=ErrorContent(error=command.error),
        ),
    )


def _step_is_known(step: Step, command: RecordStep) -> bool:
    """Whether the command is a repeat."""
    if step.name != command.name:
        message = f"step {command.key!r} was recorded under the name {step.name!r}"
        raise Refusal(RefusalCode.KEY_REUSED, message)
    failure = None if command.error is None else step.failure_of(command.attempt)
    if failure is None:
        return step.completed_at is not None
    if failure[1] != command.error:
        message = (
            f"attempt {command.attempt} of step {command.key!r} was already recorded with another "
            "error; give each attempt its own number"
        )
        raise Refusal(RefusalCode.KEY_REUSED, message)
    return True


def step_recorded(
    state: Execution, recorded: Recorded, event: StepCompleted | StepFailed
) -> Changes:
    """Complete the step, or add the failed attempt."""
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
