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
    MAX_NAMED,
    MAX_PEOPLE,
    MAX_REQUIREMENTS,
    MAX_TITLE,
)
from placet.policy import Policy
from placet.testing.in_memory_forms import form_problem
from placet.testing.in_memory_log import refuse


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
    yield from _policy_problems(command.policy)
    yield from _time_problems(command)
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


def _policy_problems(policy: Policy) -> Iterator[Problem]:
    if not policy.requirements:
        yield "policy.requirements must not be empty: name the people who have to agree"
    if len(policy.requirements) > MAX_REQUIREMENTS:
        yield f"policy.requirements has more than {MAX_REQUIREMENTS} entries"
    if policy.rejections_needed < 1:
        yield "policy.rejections must be at least 1"
    for index, requirement in enumerate(policy.requirements):
        field = f"policy.requirements.{index}"
        if requirement.count < 1:
            yield f"{field}.count must be at least 1"
        if not requirement.groups and not requirement.users:
            yield f"{field} names no group and no user, so nobody could meet it: name at least one"
        for what, names in (("groups", requirement.groups), ("users", requirement.users)):
            if len(names) > MAX_NAMED:
                yield f"{field}.{what} has more than {MAX_NAMED} entries"
            yield from (name_problem(n, f"{field}.{what}.{i}") for i, n in enumerate(names))
    if sum(each.count for each in policy.requirements) > MAX_PEOPLE:
        yield f"policy.requirements ask for more than {MAX_PEOPLE} people"
    yield from _stage_problems(policy)
    yield from (name_problem(n, f"policy.acrValues.{i}") for i, n in enumerate(policy.acr_values))


def _stage_problems(policy: Policy) -> Iterator[Problem]:
    for expected, stage in enumerate(sorted({r.stage for r in policy.requirements}), start=1):
        if stage != expected:
            yield (
                f"policy.requirements name stage {stage} but no stage {expected}: "
                "number the stages from 1 without a gap"
            )


def _time_problems(command: RequestApproval) -> Iterator[Problem]:
    policy = command.policy
    if command.deadline is not None and policy.within is not None:
        yield "deadline and policy.within exclude each other: give one of them"
    if command.deadline is None and policy.within is None:
        if policy.on_expiry != "REJECT":
            yield "policy.onExpiry needs a deadline: give deadline or policy.within"
        if policy.remind_before:
            yield "policy.remindBefore needs a deadline: give deadline or policy.within"
    if policy.calendar is not None and policy.within is None and not policy.remind_before:
        yield "policy.calendar counts policy.within and policy.remindBefore: give one of them"
    if policy.on_expiry == "GRANT" and policy.comment_required:
        yield "policy.commentRequired and policy.onExpiry GRANT exclude each other"
    if policy.on_expiry == "GRANT" and (policy.acr_values or policy.max_auth_age is not None):
        yield "policy.acrValues and policy.maxAuthAge exclude policy.onExpiry GRANT"


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
