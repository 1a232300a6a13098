"""Quorum: which requirements are met when each person counts for one requirement at most.

A requirement has ``count`` places, and a person can take one place of a requirement that admits
them. This is a bipartite matching. Kuhn's algorithm fills the places in the order of the
requirements, each by an augmenting path. A place once filled stays filled, so earlier requirements
are met first and as many places as possible are filled.
"""

from collections.abc import Iterable, Sequence

import msgspec

from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Approval, Decision, Verdict, by_different_people


def resolves(approval: Approval, decision: Decision) -> bool:
    """Whether this decision, after those before it, resolves the approval."""
    decisions = (*approval.decisions, decision)
    if decision.verdict is Verdict.GRANTED:
        return not missing(approval.policy, decisions)
    rejected = by_different_people(d for d in decisions if d.verdict is Verdict.REJECTED)
    return len(rejected) >= approval.policy.rejections


def outstanding(approval: Approval) -> tuple[Requirement, ...]:
    """Return the requirements that are not met yet; ``count`` is how many people are missing."""
    return missing(approval.policy, approval.decisions)


def missing(policy: Policy, decisions: Iterable[Decision]) -> tuple[Requirement, ...]:
    """Return the requirements of the policy that these decisions do not meet.

    The groups recorded in each decision count, not those that the person has now.
    """
    granted = by_different_people(d for d in decisions if d.verdict is Verdict.GRANTED)
    people = [(d.by.id, frozenset(d.groups)) for d in granted]
    left = _unfilled(policy.requirements, people)
    return tuple(
        msgspec.structs.replace(requirement, count=count)
        for requirement, count in zip(policy.requirements, left, strict=True)
        if count
    )


def _unfilled(
    requirements: Sequence[Requirement], people: Sequence[tuple[str, frozenset[str]]]
) -> list[int]:
    eligible = [
        [i for i, (person, groups) in enumerate(people) if requirement.admits(person, groups)]
        for requirement in requirements
    ]
    counted_for: dict[int, int] = {}

    def fill(requirement: int, tried: set[int]) -> bool:
        for person in eligible[requirement]:
            if person in tried:
                continue
            tried.add(person)
            if person not in counted_for or fill(counted_for[person], tried):
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
