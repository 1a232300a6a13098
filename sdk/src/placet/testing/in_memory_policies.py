"""What the service refuses in a policy, with its words."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from placet._util.service_rules import Problem, name_problem
from placet.models.rules import (
    MAX_DELAY,
    MAX_NAMED,
    MAX_PEOPLE,
    MAX_REMINDERS,
    MAX_REQUIREMENTS,
)
from placet.policy import Policy, RequirementInput

_ACR = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


def policy_problems(policy: Policy) -> Iterator[Problem]:
    """Yield what is wrong with a policy."""
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
        yield from _name_problems(requirement.groups, f"{field}.groups")
        yield from _name_problems(requirement.users, f"{field}.users")
    if sum(each.count for each in policy.requirements) > MAX_PEOPLE:
        yield f"policy.requirements ask for more than {MAX_PEOPLE} people"
    yield from _stage_problems(policy)
    yield _span_problem(policy.valid_for, "policy.validFor")
    yield _span_problem(policy.max_auth_age, "policy.maxAuthAge")
    yield from _name_problems(policy.acr_values, "policy.acrValues")
    for index, value in enumerate(policy.acr_values):
        if not _ACR.fullmatch(value):
            field = f"policy.acrValues.{index}"
            yield f"{field} may have no blanks, quotes, backslashes or letters beyond ASCII"


def time_problems(policy: Policy, *, has_deadline: bool) -> Iterator[Problem]:
    """Yield what is wrong with a policy for a request with or without a deadline."""
    if has_deadline and policy.within is not None:
        yield "deadline and policy.within exclude each other: give one of them"
    if not has_deadline and policy.within is None:
        if policy.on_expiry != "REJECT":
            yield "policy.onExpiry needs a deadline: give deadline or policy.within"
        if policy.remind_before:
            yield "policy.remindBefore needs a deadline: give deadline or policy.within"
    yield from _idle_problems(policy)
    if len(policy.remind_before) > MAX_REMINDERS:
        yield f"policy.remindBefore has more than {MAX_REMINDERS} entries"
    yield from _granted_by_nobody(policy)
    yield _span_problem(policy.within, "policy.within")
    if policy.calendar is not None:
        yield name_problem(policy.calendar, "policy.calendar")
    for index, span in enumerate(policy.remind_before):
        yield _span_problem(span, f"policy.remindBefore.{index}")
    yield from _name_problems(policy.escalate_to, "policy.escalateTo")


def _idle_problems(policy: Policy) -> Iterator[Problem]:
    """Yield what the policy says that nothing would use, and what is missing."""
    if policy.calendar is not None and policy.within is None and not policy.remind_before:
        yield "policy.calendar counts policy.within and policy.remindBefore: give one of them"
    if policy.on_expiry == "ESCALATE" and not policy.escalate_to:
        yield "policy.escalateTo must not be empty: name the groups to escalate to"
    if policy.on_expiry != "ESCALATE" and policy.escalate_to:
        yield "policy.escalateTo is used only if policy.onExpiry is ESCALATE"


def unmeetable(policy: Policy) -> Problem:
    """Return why nobody could meet or refuse a policy. Who is in a group is not known."""
    named = [each for each in policy.requirements if not each.groups]
    people = {user.strip() for each in named for user in each.users}
    wanted = sum(each.count for each in named)
    if not _has_people_for_all(named):
        return (
            f"policy.requirements name {len(people)} different users where {wanted} people have to"
            " agree, so nobody could meet them: name more people"
        )
    if len(named) == len(policy.requirements) and policy.rejections_needed > len(people):
        return (
            f"policy.rejections is {policy.rejections_needed}, but the policy names only"
            f" {len(people)} different users: lower it"
        )
    return None


def reminders_problem(policy: Policy, deadline: datetime | None, now: datetime) -> Problem:
    """Return what is wrong with the reminders of a request with this deadline."""
    if deadline is None or not policy.remind_before:
        return None
    time = policy.within or deadline - now
    if max(policy.remind_before) < time:
        return None
    return "policy.remindBefore has a span that is not shorter than the time to the deadline"


def _has_people_for_all(named: Iterable[RequirementInput]) -> bool:
    """Whether different people can take all places of the requirements."""
    places = [{user.strip() for user in each.users} for each in named for _ in range(each.count)]
    taken: dict[str, int] = {}

    def fill(place: int, tried: set[str]) -> bool:
        for person in sorted(places[place] - tried):
            tried.add(person)
            # Who has the place of this person may take another one.
            if person not in taken or fill(taken[person], tried):
                taken[person] = place
                return True
        return False

    return all(fill(place, set()) for place in range(len(places)))


def _stage_problems(policy: Policy) -> Iterator[Problem]:
    for expected, stage in enumerate(sorted({r.stage for r in policy.requirements}), start=1):
        if stage != expected:
            yield (
                f"policy.requirements name stage {stage} but no stage {expected}: "
                "number the stages from 1 without a gap"
            )


def _granted_by_nobody(policy: Policy) -> Iterator[Problem]:
    if policy.on_expiry != "GRANT":
        return
    if policy.comment_required:
        yield "policy.commentRequired and policy.onExpiry GRANT exclude each other"
    if policy.acr_values or policy.max_auth_age is not None:
        yield (
            "policy.acrValues and policy.maxAuthAge exclude policy.onExpiry GRANT: nobody would "
            "have logged in"
        )


def _span_problem(span: timedelta | None, field: str) -> Problem:
    if span is None or timedelta(0) < span <= MAX_DELAY:
        return None
    return f"{field} must be longer than 0 and at most {MAX_DELAY.days} days"


def _name_problems(names: Iterable[str], field: str) -> Iterator[Problem]:
    names = tuple(names)
    if len(names) > MAX_NAMED:
        yield f"{field} has more than {MAX_NAMED} entries"
    yield from (name_problem(name, f"{field}.{index}") for index, name in enumerate(names))
