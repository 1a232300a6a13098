"""The policy of an approval: who has to agree, how many of them, and what the deadline does."""

import re
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum

from msgspec.structs import replace

from domain import validation
from domain.names import normal, normal_set
from domain.validation import Problem, first, optional
from domain.values import Value

MAX_REQUIREMENTS = 20
MAX_PEOPLE = 200
MAX_NAMED = 100
MAX_REMINDERS = 10
# What OAuth allows in one of several values that are separated by blanks (RFC 6749, section 3.3).
_ACR = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


class ExpiryAction(StrEnum):
    """What happens to an approval that is pending at its deadline."""

    REJECT = "REJECT"
    GRANT = "GRANT"
    ESCALATE = "ESCALATE"


class Requirement(Value, frozen=True, kw_only=True):
    """``count`` distinct people, each a member of one of the groups or one of the users.

    The people of a ``stage`` are asked when all requirements of lower stages are met. The names
    stay as they were sent, because the digest that people decide on covers them.
    """

    count: int = 1
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    stage: int = 1

    def admits(self, person: str, groups: frozenset[str]) -> bool:
        """Whether this person counts towards the requirement."""
        return self.names_user(person) or bool(self.named_groups(groups))

    def names_user(self, person: str) -> bool:
        """Whether it names this person."""
        return normal(person) in map(normal, self.users)

    def named_groups(self, groups: Iterable[str]) -> frozenset[str]:
        """Return those of the groups that it names, in their normal form."""
        return normal_set(groups).intersection(map(normal, self.groups))


class Policy(Value, frozen=True, kw_only=True):
    """Who has to agree. All requirements must be met before ``rejections`` people refuse.

    Each person counts for one requirement only; see ``quorum``. ``allow_initiator`` turns off the
    four-eyes rules of ``eligibility``. ``within`` is the time from the request to the deadline, and
    ``remind_before`` are the times before it at which people are reminded; both count only working
    time if there is a ``calendar``. ``valid_for`` is how long after the grant it can be redeemed;
    None means for ever. ``amendable``: a grant may change the payload. ``comment_required``: a
    grant needs a comment. ``acr_values`` are strengths of a login, of which the decider's must have
    one, and ``max_auth_age`` is how old it may be: see ``step_up``.
    """

    requirements: tuple[Requirement, ...]
    rejections: int = 1
    allow_initiator: bool = False
    on_expiry: ExpiryAction = ExpiryAction.REJECT
    escalate_to: tuple[str, ...] = ()
    within: timedelta | None = None
    calendar: str | None = None
    remind_before: tuple[timedelta, ...] = ()
    valid_for: timedelta | None = None
    amendable: bool = False
    comment_required: bool = False
    acr_values: tuple[str, ...] = ()
    max_auth_age: timedelta | None = None

    @property
    def asks_for_login(self) -> bool:
        """Whether not every login will do to decide."""
        return bool(self.acr_values) or self.max_auth_age is not None

    @property
    def stages(self) -> int:
        """The number of stages."""
        return max(requirement.stage for requirement in self.requirements)


def same_policy(one: Policy, other: Policy) -> bool:
    """Whether two policies are the same, however their names are written."""
    return _with_normal_names(one) == _with_normal_names(other)


def _with_normal_names(policy: Policy) -> Policy:
    requirements = tuple(
        replace(r, groups=tuple(map(normal, r.groups)), users=tuple(map(normal, r.users)))
        for r in policy.requirements
    )
    return replace(policy, requirements=requirements)


def check_policy(policy: Policy) -> Problem:
    """Return the first rule that the policy breaks, or None."""
    if not policy.requirements:
        return "policy.requirements must not be empty: name the people who have to agree"
    if len(policy.requirements) > MAX_REQUIREMENTS:
        return f"policy.requirements has more than {MAX_REQUIREMENTS} entries"
    if policy.rejections < 1:
        return "policy.rejections must be at least 1"
    problems = (
        _requirement(requirement, f"policy.requirements.{i}")
        for i, requirement in enumerate(policy.requirements)
    )
    if problem := first(*problems):
        return problem
    if sum(requirement.count for requirement in policy.requirements) > MAX_PEOPLE:
        return f"policy.requirements ask for more than {MAX_PEOPLE} people"
    return first(
        _stages(policy),
        optional(validation.span, policy.valid_for, "policy.validFor"),
        optional(validation.span, policy.max_auth_age, "policy.maxAuthAge"),
        _names(policy.acr_values, "policy.acrValues"),
        *(
            f"policy.acrValues.{i} may have no blanks, quotes, backslashes or letters beyond ASCII"
            for i, value in enumerate(policy.acr_values)
            if not _ACR.fullmatch(value)
        ),
    )


def check_times(policy: Policy, *, has_deadline: bool) -> Problem:
    """Return the first rule that the policy breaks for a request with or without a deadline."""
    if has_deadline and policy.within is not None:
        return "deadline and policy.within exclude each other: give one of them"
    if not has_deadline and policy.within is None:
        if policy.on_expiry is not ExpiryAction.REJECT:
            return "policy.onExpiry needs a deadline: give deadline or policy.within"
        if policy.remind_before:
            return "policy.remindBefore needs a deadline: give deadline or policy.within"
    if policy.calendar is not None and policy.within is None and not policy.remind_before:
        return "policy.calendar counts policy.within and policy.remindBefore: give one of them"
    if policy.on_expiry is ExpiryAction.ESCALATE and not policy.escalate_to:
        return "policy.escalateTo must not be empty: name the groups to escalate to"
    if policy.on_expiry is not ExpiryAction.ESCALATE and policy.escalate_to:
        return "policy.escalateTo is used only if policy.onExpiry is ESCALATE"
    if len(policy.remind_before) > MAX_REMINDERS:
        return f"policy.remindBefore has more than {MAX_REMINDERS} entries"
    return first(
        _granted_by_nobody(policy),
        optional(validation.span, policy.within, "policy.within"),
        optional(validation.name, policy.calendar, "policy.calendar"),
        *(
            validation.span(span, f"policy.remindBefore.{i}")
            for i, span in enumerate(policy.remind_before)
        ),
        _names(policy.escalate_to, "policy.escalateTo"),
    )


def _granted_by_nobody(policy: Policy) -> Problem:
    """Return what the policy asks of grants though its deadline grants, or None."""
    if policy.on_expiry is not ExpiryAction.GRANT:
        return None
    if policy.comment_required:
        return "policy.commentRequired and policy.onExpiry GRANT exclude each other"
    if policy.asks_for_login:
        return (
            "policy.acrValues and policy.maxAuthAge exclude policy.onExpiry GRANT: nobody would "
            "have logged in"
        )
    return None


def _stages(policy: Policy) -> Problem:
    """Stages count from 1 without a gap, so that each begins when the one before is met."""
    stages = {requirement.stage for requirement in policy.requirements}
    for expected, stage in enumerate(sorted(stages), start=1):
        if stage != expected:
            return (
                f"policy.requirements name stage {stage} but no stage {expected}: "
                "number the stages from 1 without a gap"
            )
    return None


def _requirement(requirement: Requirement, field: str) -> Problem:
    if requirement.count < 1:
        return f"{field}.count must be at least 1"
    if not requirement.groups and not requirement.users:
        return f"{field} names no group and no user, so nobody could meet it: name at least one"
    return first(
        _names(requirement.groups, f"{field}.groups"),
        _names(requirement.users, f"{field}.users"),
    )


def _names(values: Iterable[str], field: str) -> Problem:
    values = tuple(values)
    if len(values) > MAX_NAMED:
        return f"{field} has more than {MAX_NAMED} entries"
    return first(*(validation.name(value, f"{field}.{i}") for i, value in enumerate(values)))
