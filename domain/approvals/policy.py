"""The policy of an approval: who has to agree, how many of them, and what the deadline does."""

from collections.abc import Iterable
from enum import StrEnum

from msgspec.structs import replace

from domain import validation
from domain.names import normal, normal_set
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
    """``count`` distinct people, each a member of one of the groups or one of the users.

    The names stay as they were sent, because the digest that people decide on covers them.
    """

    count: int = 1
    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()

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
    """Who has to agree. All requirements must be met before ``rejections`` people reject.

    Each person counts for one requirement only; see ``quorum``. ``allow_initiator`` turns off the
    four-eyes rules of ``eligibility``.
    """

    requirements: tuple[Requirement, ...]
    rejections: int = 1
    allow_initiator: bool = False
    on_expiry: ExpiryAction = ExpiryAction.REJECT
    escalate_to: tuple[str, ...] = ()


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
    if policy.on_expiry is not ExpiryAction.REJECT:
        return "policy.onExpiry can't be set yet: this server has no deadlines; leave it out"
    if policy.escalate_to:
        return "policy.escalateTo can't be set yet: this server has no deadlines; leave it out"
    problems = (
        _requirement(requirement, f"policy.requirements.{i}")
        for i, requirement in enumerate(policy.requirements)
    )
    if problem := first(*problems):
        return problem
    if sum(requirement.count for requirement in policy.requirements) > MAX_PEOPLE:
        return f"policy.requirements ask for more than {MAX_PEOPLE} people"
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
