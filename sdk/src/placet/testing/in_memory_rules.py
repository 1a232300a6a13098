"""What the service refuses in a command, whatever the state of its execution."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import msgspec

from placet._util.service_rules import (
    Problem,
    first,
    json_problem,
    name_problem,
    required_text_problem,
    text_problem,
)
from placet.models.commands import (
    Command,
    CompleteExecution,
    FailExecution,
    ParkExecution,
    RecordStep,
    RedeemApproval,
    RequestApproval,
    SendSignal,
    SetTimer,
    StartChild,
    StartExecution,
    WithdrawApproval,
)
from placet.models.rules import (
    MAX_ATTEMPT,
    MAX_DELAY,
    MAX_TITLE,
)
from placet.testing.in_memory_forms import form_problem
from placet.testing.in_memory_log import refuse
from placet.testing.in_memory_policies import policy_problems, time_problems


def check(command: Command) -> None:
    """Raise InvalidInput with the first rule that a command breaks."""
    rules = _RULES.get(type(command))
    problem = None if rules is None else first(rules(command))
    if problem is not None:
        refuse("INVALID_INPUT", problem)


def check_comment(comment: str | None) -> None:
    """Raise InvalidInput for the comment of a decision that the service refuses."""
    problem = text_problem(comment, "comment")
    if problem is not None:
        refuse("INVALID_INPUT", problem)


def _start(command: StartExecution) -> Iterator[Problem]:
    yield name_problem(command.workflow, "workflow")
    yield name_problem(command.queue, "queue")
    yield json_problem(command.input, "input")


def _step(command: RecordStep) -> Iterator[Problem]:
    yield name_problem(command.key, "key")
    yield name_problem(command.name, "name")
    if not 1 <= command.attempt <= MAX_ATTEMPT:
        yield f"attempt is {command.attempt}, it must be from 1 to {MAX_ATTEMPT}"
    yield json_problem(command.result, "result")
    if command.error is not None:
        yield required_text_problem(command.error, "error")


def _approval(command: RequestApproval) -> Iterator[Problem]:
    yield name_problem(command.key, "key")
    yield required_text_problem(command.title, "title", MAX_TITLE)
    yield text_problem(command.description, "description")
    yield from policy_problems(command.policy)
    yield from time_problems(command.policy, has_deadline=command.deadline is not None)
    if command.form is not None:
        yield form_problem(command.form)
        if command.policy.on_expiry == "GRANT":
            yield "form and policy.onExpiry GRANT exclude each other: nobody would answer the form"
    yield json_problem(command.payload, "payload")


def _redemption(command: RedeemApproval) -> Iterator[Problem]:
    yield name_problem(command.payload_digest, "payloadDigest")
    yield name_problem(command.redemption_key, "redemptionKey")


def _reason(command: WithdrawApproval | ParkExecution) -> Iterator[Problem]:
    yield required_text_problem(command.reason, "reason")


def _timer(command: SetTimer) -> Iterator[Problem]:
    yield name_problem(command.key, "key")
    yield _delay_problem(command.delay)


def _signal(command: SendSignal) -> Iterator[Problem]:
    yield name_problem(command.name, "name")
    yield name_problem(command.key, "key")
    yield json_problem(command.payload, "payload")


def _child(command: StartChild) -> Iterator[Problem]:
    yield name_problem(command.key, "key")
    yield name_problem(command.workflow, "workflow")
    yield name_problem(command.workflow_version, "workflowVersion")
    yield name_problem(command.queue, "queue")
    yield json_problem(command.input, "input")


def _completion(command: CompleteExecution) -> Iterator[Problem]:
    yield json_problem(command.result, "result")


def _failure(command: FailExecution) -> Iterator[Problem]:
    yield required_text_problem(command.error, "error")


def _delay_problem(delay: str | None) -> Problem:
    if delay is None or timedelta(0) <= msgspec.convert(delay, timedelta) <= MAX_DELAY:
        return None
    return f"delay must be from 0 to {MAX_DELAY.days} days"


_RULES: dict[type[Command], Callable[[Any], Iterator[Problem]]] = {
    StartExecution: _start,
    RecordStep: _step,
    RequestApproval: _approval,
    WithdrawApproval: _reason,
    RedeemApproval: _redemption,
    SetTimer: _timer,
    SendSignal: _signal,
    StartChild: _child,
    ParkExecution: _reason,
    CompleteExecution: _completion,
    FailExecution: _failure,
}
