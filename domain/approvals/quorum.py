"""Quorum by distinct people: each person counts for one requirement at most.

A requirement is met by ``count`` people, so the question is a bipartite matching of people to
places. Places are filled in the order of the requirements, each by an augmenting path (Kuhn's
algorithm); a filled place is never emptied again, so earlier requirements are met first and the
number of filled places is the largest possible.
"""

from collections.abc import Iterable, Sequence

import msgspec

from domain.approvals.policy import Policy, Requirement
from domain.approvals.state import Approval, Decision, Verdict


def outstanding(approval: Approval) -> tuple[Requirement, ...]:
    """What is still missing, with what is left of each count; empty if all is met."""
    return missing(approval.policy, approval.decisions)


def missing(policy: Policy, decisions: Iterable[Decision]) -> tuple[Requirement, ...]:
    """What these decisions leave open of the policy, each by the memberships frozen in it."""
    people = [(d.by.id, frozenset(d.groups)) for d in decisions if d.verdict is Verdict.GRANTED]
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
