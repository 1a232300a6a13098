"""All requirements are met by distinct people, or enough rejections come first."""

import pytest

from domain.approvals.events import (
    ApprovalGranted,
    ApprovalRejected,
)
from domain.approvals.policy import Policy
from domain.approvals.quorum import outstanding
from domain.approvals.state import ApprovalStatus
from domain.execution.events import (
    Resumed,
)
from domain.refusals import RefusalCode
from domain.values import Principal
from tests.domain.ask import grant, needs, policy, reject
from tests.domain.facts import requested, started
from tests.domain.people import approver
from tests.domain.scenario import Given, given

FRAN = approver("fran", "finance")
LEO = approver("leo", "legal")
BOTH = approver("both", "finance", "legal")
BOTH_TOO = approver("both-too", "finance", "legal")


def asked(requirements: Policy) -> Given:
    return given(started(), requested(policy=requirements))


def test_a_person_counts_for_one_requirement_only() -> None:
    history = asked(policy(needs("finance"), needs("legal")))

    outcome = history.when(grant(BOTH)).then(ApprovalGranted)

    assert outstanding(outcome.approval(1)) == (needs("legal"),)
    outcome.when(grant(BOTH)).then_repeated()
    outcome.when(grant(LEO)).then(ApprovalGranted, Resumed)


@pytest.mark.parametrize("order", [(BOTH, FRAN), (FRAN, BOTH)])
def test_the_order_in_which_people_grant_does_not_matter(order: tuple[Principal, ...]) -> None:
    first, second = order
    history = asked(policy(needs("finance"), needs("legal")))

    history.when(grant(first)).then(ApprovalGranted)
    history.when(grant(second)).then(ApprovalGranted, Resumed)


def test_people_are_moved_along_a_chain_until_all_fit() -> None:
    history = asked(policy(needs("a"), needs("b"), needs("c")))

    history.when(grant(approver("one", "a", "b"))).then(ApprovalGranted)
    history.when(grant(approver("two", "b", "c"))).then(ApprovalGranted)
    history.when(grant(approver("three", "a"))).then(ApprovalGranted, Resumed)


def test_what_is_outstanding_has_the_earliest_requirements_met_first() -> None:
    history = asked(policy(needs("finance", count=2), needs("legal", "finance", count=2)))

    assert outstanding(history.approval(1)) == history.approval(1).policy.requirements
    history.when(grant(LEO))
    assert outstanding(history.approval(1)) == (
        needs("finance", count=2),
        needs("legal", "finance", count=1),
    )
    history.when(grant(FRAN))
    assert outstanding(history.approval(1)) == (
        needs("finance", count=1),
        needs("legal", "finance", count=1),
    )
    history.when(grant(BOTH))
    assert outstanding(history.approval(1)) == (needs("legal", "finance", count=1),)


def test_a_surplus_grant_is_recorded_and_counts_for_nothing() -> None:
    history = asked(policy(needs("finance"), needs("legal")))

    history.when(grant(FRAN)).then(ApprovalGranted)
    history.when(grant(approver("fred", "finance"))).then(ApprovalGranted)

    assert len(history.approval(1).decisions) == 2
    assert outstanding(history.approval(1)) == (needs("legal"),)
    history.when(grant(LEO)).then(ApprovalGranted, Resumed)


def test_who_is_named_counts_without_any_group() -> None:
    history = asked(policy(needs("finance"), needs(users=("fran",))))

    history.when(grant(FRAN)).then(ApprovalGranted)
    history.when(grant(approver("fred", "finance"))).then(ApprovalGranted, Resumed)


def test_the_memberships_of_the_moment_count_also_after_they_were_lost() -> None:
    history = asked(policy(needs("finance"), needs("legal")))

    history.when(grant(BOTH)).then(ApprovalGranted)
    history.when(grant(approver("both", "gardeners"))).then_repeated()
    history.when(grant(LEO)).then(ApprovalGranted, Resumed)


def test_one_rejection_rejects_unless_the_policy_says_otherwise() -> None:
    history = asked(policy(needs("finance", count=2)))

    history.when(grant(FRAN)).then(ApprovalGranted)
    history.when(reject(BOTH)).then(ApprovalRejected, Resumed)
    assert history.approval(1).status is ApprovalStatus.REJECTED


def test_the_threshold_that_is_reached_first_counts() -> None:
    history = asked(policy(needs("finance"), needs("legal"), rejections=2))

    history.when(reject(FRAN)).then(ApprovalRejected)
    history.when(grant(BOTH)).then(ApprovalGranted)
    history.when(grant(LEO)).then(ApprovalGranted, Resumed)
    history.when(reject(BOTH_TOO)).then_refused(RefusalCode.ALREADY_DECIDED)
    assert history.approval(1).status is ApprovalStatus.GRANTED


def test_rejections_need_distinct_people_too() -> None:
    history = asked(policy(needs("finance"), rejections=2))

    history.when(reject(FRAN)).then(ApprovalRejected)
    history.when(reject(FRAN)).then_repeated()
    history.when(reject(BOTH)).then(ApprovalRejected, Resumed)


def test_who_rejected_does_not_count_as_agreeing() -> None:
    history = asked(policy(needs("finance", count=2), rejections=3))

    history.when(reject(FRAN)).then(ApprovalRejected)
    history.when(grant(BOTH)).then(ApprovalGranted)

    assert outstanding(history.approval(1)) == (needs("finance", count=1),)


def test_a_person_is_known_by_id_and_not_by_name() -> None:
    history = asked(policy(needs("finance", count=2)))
    login = Principal(id="p1", name="Fran", roles=FRAN.roles, groups=FRAN.groups)
    key = Principal(id="p1", name="Fran's key", roles=FRAN.roles, groups=FRAN.groups)
    namesake = Principal(id="p2", name="Fran", roles=FRAN.roles, groups=FRAN.groups)

    history.when(grant(login)).then(ApprovalGranted)
    history.when(grant(key)).then_repeated()
    history.when(grant(namesake)).then(ApprovalGranted, Resumed)
