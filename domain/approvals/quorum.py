"""Quorum: which requirements are met when each person counts for one requirement at most.

A requirement has ``count`` places. A person who granted can take one place of a requirement that
admits them, in the stage in which they decided. This is a bipartite matching. Kuhn's algorithm
fills the places in the order of the requirements, each by an augmenting path. A place once filled
stays filled, so earlier requirements are met first and as many places as possible are filled.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import (
    Approval,
    ApprovalStatus,
    Decision,
    Verdict,
    by_different_people,
)
from domain.names import normal, normal_set


class _Grant(NamedTuple):
    """A person who granted, by normal names. ``any_requirement``: by an escalation, any one.

    ``person`` is None if no requirement that names the person counts.
    """

    person: str | None
    groups: frozenset[str]
    stage: int
    any_requirement: bool = False


def outcome(approval: Approval, decision: Decision) -> ApprovalStatus | None:
    """Return how this decision, after those before it, resolves the approval; None if not.

    Requests for changes count as rejections do. If one of those who refused asked for changes, the
    approval ends CHANGES_REQUESTED.
    """
    decisions = [*approval.counting_decisions, decision]
    if decision.verdict is Verdict.GRANTED:
        return None if _missing(approval, decisions) else ApprovalStatus.GRANTED
    refused = by_different_people(d for d in decisions if d.verdict is not Verdict.GRANTED)
    if len(refused) < approval.policy.rejections:
        return None
    if any(d.verdict is Verdict.CHANGES_REQUESTED for d in refused):
        return ApprovalStatus.CHANGES_REQUESTED
    return ApprovalStatus.REJECTED


def outstanding(approval: Approval) -> tuple[Requirement, ...]:
    """Return the requirements that are not met yet; ``count`` is how many people are missing."""
    return _missing(approval, approval.counting_decisions)


def current_stage(approval: Approval) -> int:
    """Return the stage whose people are asked now: the lowest that is not met."""
    if approval.policy.stages == 1:
        return 1
    decisions = approval.counting_decisions
    for stage in range(1, approval.policy.stages):
        if _missing(approval, decisions, stage):
            return stage
    return approval.policy.stages


def _missing(
    approval: Approval, decisions: Iterable[Decision], stage: int | None = None
) -> tuple[Requirement, ...]:
    """Return the requirements, those of one stage or all, that these decisions do not meet."""
    policy = approval.policy
    if stage is not None:
        # People count in the stage in which they decided, so each stage can be looked at alone.
        requirements = tuple(r for r in policy.requirements if r.stage == stage)
        policy = msgspec.structs.replace(policy, requirements=requirements)
        decisions = [d for d in decisions if d.stage == stage]
    by_escalation = frozenset(d.version for d in decisions if _by_escalation(approval, d))
    return missing(policy, decisions, by_escalation=by_escalation)


def missing(
    policy: Policy, decisions: Iterable[Decision], *, by_escalation: Collection[int] = ()
) -> tuple[Requirement, ...]:
    """Return the requirements of the policy that these decisions do not meet.

    The groups recorded in each decision count, not those that the person has now. The decisions at
    the versions ``by_escalation`` can meet any requirement of their stage.
    """
    granted = by_different_people(d for d in decisions if d.verdict is Verdict.GRANTED)
    grants = [
        _Grant(
            _named(d),
            normal_set(d.groups),
            d.stage,
            d.version in by_escalation,
        )
        for d in granted
    ]
    left = _unfilled(policy.requirements, grants)
    return tuple(
        msgspec.structs.replace(requirement, count=count)
        for requirement, count in zip(policy.requirements, left, strict=True)
        if count
    )


def _named(decision: Decision) -> str | None:
    """Return the person in whose place it was decided, None if it counts for groups only."""
    if decision.substitution is not None and decision.substitution.only_groups:
        return None
    return normal((decision.on_behalf_of or decision.by).id)


def _by_escalation(approval: Approval, decision: Decision) -> bool:
    after = 0 < approval.escalated_version < decision.version
    return after and bool(approval.escalation_groups(decision.groups))


def unmeetable(policy: Policy) -> str | None:
    """Return why nobody could meet or refuse the policy, or None.

    Only requirements without groups can be judged: who is in a group is not known here.
    """
    fixed = [requirement for requirement in policy.requirements if not requirement.groups]
    people = sorted({user for requirement in fixed for user in requirement.users})
    # Each person may take a place in any stage, but only one.
    grants = [_Grant(normal(person), frozenset(), 0) for person in people]
    left = _unfilled([msgspec.structs.replace(r, stage=0) for r in fixed], grants)
    if sum(left):
        return (
            f"policy.requirements name {len(people)} different users where "
            f"{sum(r.count for r in fixed)} people have to agree, so nobody could meet them: "
            "name more people"
        )
    if len(fixed) == len(policy.requirements) and policy.rejections > len(people):
        return (
            f"policy.rejections is {policy.rejections}, but the policy names only {len(people)} "
            "different users: lower it"
        )
    return None


def _who_meets(requirement: Requirement, grants: Sequence[_Grant]) -> list[int]:
    """Return the numbers of those who can take a place of the requirement."""
    users, groups = normal_set(requirement.users), normal_set(requirement.groups)
    return [
        number
        for number, grant in enumerate(grants)
        if grant.stage == requirement.stage
        and (grant.any_requirement or grant.person in users or not groups.isdisjoint(grant.groups))
    ]


def _unfilled(requirements: Sequence[Requirement], grants: Sequence[_Grant]) -> list[int]:
    eligible = [_who_meets(requirement, grants) for requirement in requirements]
    counted_for: dict[int, int] = {}

    def fill(requirement: int, tried: set[int]) -> bool:
        for person in eligible[requirement]:
            if person not in counted_for:
                counted_for[person] = requirement
                return True
        for person in eligible[requirement]:
            if person in tried:
                continue
            tried.add(person)
            if fill(counted_for[person], tried):
                counted_for[person] = requirement
                return True
        return False

    left = []
    for i, requirement in enumerate(requirements):
        filled = 0
        while filled < requirement.count and fill(i, set()):
            filled += 1
        left.append(requirement.count - filled)
    return left
