"""The matching of people to requirements, against every possible assignment."""

from datetime import UTC, datetime
from itertools import product
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.approvals.policy import Policy, Requirement
from domain.approvals.quorum import missing
from domain.approvals.state import Decision, Verdict
from domain.values import Actor

GROUPS = ("a", "b", "c")
PEOPLE = ("p0", "p1", "p2", "p3", "p4")

requirements = st.lists(
    st.builds(
        Requirement,
        count=st.integers(1, 3),
        groups=st.lists(st.sampled_from(GROUPS), max_size=2, unique=True).map(tuple),
        users=st.lists(st.sampled_from(PEOPLE), max_size=1).map(tuple),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
memberships = st.lists(st.sets(st.sampled_from(GROUPS)), max_size=len(PEOPLE))


def grants(groups_of_each: list[set[str]], verdict: Verdict = Verdict.GRANTED) -> list[Decision]:
    return [
        Decision(
            verdict=verdict,
            by=Actor(id=person),
            at=datetime(2026, 3, 2, tzinfo=UTC),
            version=1,
            digest="",
            rule="",
            groups=tuple(sorted(groups)),
        )
        for person, groups in zip(PEOPLE, groups_of_each, strict=False)
    ]


def best_by_force(policy: Policy, decisions: list[Decision]) -> tuple[int, ...]:
    """Try every assignment; the best fills most places, and of those the earliest ones."""
    choices = [
        [
            None,
            *(
                i
                for i, requirement in enumerate(policy.requirements)
                if requirement.admits(decision.by.id, frozenset(decision.groups))
            ),
        ]
        for decision in decisions
    ]
    filled = (
        tuple(
            min(requirement.count, assignment.count(i))
            for i, requirement in enumerate(policy.requirements)
        )
        for assignment in product(*choices)
    )
    return max(filled, key=lambda places: (sum(places), places))


def filled_places(policy: Policy, decisions: list[Decision]) -> tuple[int, ...]:
    left = iter(missing(policy, decisions))
    rest = next(left, None)
    places = []
    for requirement in policy.requirements:
        of_this = rest is not None and (rest.groups, rest.users) == (
            requirement.groups,
            requirement.users,
        )
        if rest is not None and of_this and rest.count <= requirement.count:
            places.append(requirement.count - rest.count)
            rest = next(left, None)
        else:
            places.append(requirement.count)
    return tuple(places)


@settings(max_examples=300)
@given(requirements, memberships)
def test_the_matching_is_the_best_that_any_assignment_reaches(
    asked: tuple[Requirement, ...], groups_of_each: list[set[str]]
) -> None:
    policy, decisions = Policy(requirements=asked), grants(groups_of_each)

    best = best_by_force(policy, decisions)

    total = sum(requirement.count for requirement in asked)
    left = missing(policy, decisions)
    assert sum(requirement.count for requirement in left) == total - sum(best)
    if len({(each.groups, each.users) for each in asked}) == len(asked):
        assert filled_places(policy, decisions) == best


@settings(max_examples=100)
@given(requirements, memberships, st.randoms(use_true_random=False))
def test_the_order_of_the_grants_does_not_matter(
    asked: tuple[Requirement, ...], groups_of_each: list[set[str]], random: Random
) -> None:
    policy, decisions = Policy(requirements=asked), grants(groups_of_each)
    shuffled = list(decisions)
    random.shuffle(shuffled)

    assert missing(policy, shuffled) == missing(policy, decisions)


@settings(max_examples=100)
@given(requirements, memberships)
def test_rejections_meet_no_requirement(
    asked: tuple[Requirement, ...], groups_of_each: list[set[str]]
) -> None:
    policy = Policy(requirements=asked)

    assert missing(policy, grants(groups_of_each, Verdict.REJECTED)) == asked


def test_the_largest_policy_is_matched_without_deep_recursion() -> None:
    asked = tuple(Requirement(count=10, groups=(f"g{i}", f"g{i + 1}")) for i in range(20))
    decisions = [
        Decision(
            verdict=Verdict.GRANTED,
            by=Actor(id=f"p{i}-{j}"),
            at=datetime(2026, 3, 2, tzinfo=UTC),
            version=1,
            digest="",
            rule="",
            groups=(f"g{i}",),
        )
        for i in range(20, 0, -1)
        for j in range(10)
    ]

    assert missing(Policy(requirements=asked), decisions) == ()
