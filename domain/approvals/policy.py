"""An approval's policy: who has to agree, how many, and what happens at its deadline."""

from collections.abc import Iterable
from enum import StrEnum

from domain import validation
from domain.validation import Problem, first
from domain.values import Value

MAX_REQUIREMENTS = 20
MAX_PEOPLE = 200
MAX_NAMED = 100


class ExpiryAction(StrEnum):
    """What happens to an approval that is pending at its deadline."""

    REJECT = "REJECT"
    GRANT = "GRANT"
    ESCALATE = "ESCALATE"


class Requirement(Value, frozen=True, kw_only=True):
    """``count`` distinct people out of any of the groups, or named among the users."""

    count: int = 1
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()

    def admits(self, person: str, groups: frozenset[str]) -> bool:
        """Whether this person counts towards the requirement."""
        return person in self.users or not groups.isdisjoint(self.groups)


class Policy(Value, frozen=True, kw_only=True):
    """Who has to agree: every requirement met by distinct people, before ``rejections`` reject."""

    requirements: tuple[Requirement, ...]
    rejections: int = 1
    allow_initiator: bool = False
    on_expiry: ExpiryAction = ExpiryAction.REJECT
    escalate_to: tuple[str, ...] = ()


def check_policy(value: Policy, field: str = "policy") -> Problem:
    """Check a policy: at least one requirement, none empty, every count at least one."""
    if not value.requirements:
        return f"{field}.requirements must not be empty: nobody would have to agree"
    if len(value.requirements) > MAX_REQUIREMENTS:
        return f"{field}.requirements has more than {MAX_REQUIREMENTS} entries"
    if value.rejections < 1:
        return f"{field}.rejections must be at least 1"
    if value.on_expiry is not ExpiryAction.REJECT:
        return f"{field}.onExpiry can't be set yet: deadlines are not acted on"
    if value.escalate_to:
        return f"{field}.escalateTo can't be set yet: deadlines are not acted on"
    problems = (
        _requirement(requirement, f"{field}.requirements.{i}")
        for i, requirement in enumerate(value.requirements)
    )
    if problem := first(*problems):
        return problem
    if sum(requirement.count for requirement in value.requirements) > MAX_PEOPLE:
        return f"{field}.requirements ask for more than {MAX_PEOPLE} people"
    return None


def _requirement(requirement: Requirement, field: str) -> Problem:
    if requirement.count < 1:
        return f"{field}.count must be at least 1"
    if not requirement.groups and not requirement.users:
        return f"{field} names no group and no user: nobody could meet it"
    return first(
        _names(requirement.groups, f"{field}.groups"),
        _names(requirement.users, f"{field}.users"),
    )


def _names(values: Iterable[str], field: str) -> Problem:
    values = tuple(values)
    if len(values) > MAX_NAMED:
        return f"{field} has more than {MAX_NAMED} entries"
    return first(*(validation.name(value, f"{field}.{i}") for i, value in enumerate(values)))
