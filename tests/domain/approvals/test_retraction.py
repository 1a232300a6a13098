"""A person takes back the own decision while the approval is pending."""

from domain.approvals.events import (
    ApprovalGranted,
    ApprovalRejected,
    DecisionRetracted,
)
from domain.approvals.quorum import outstanding
from domain.execution.events import (
    Resumed,
)
from domain.execution.idempotency import first_version
from domain.refusals import RefusalCode
from tests.domain.ask import grant, needs, policy, reject, request, retract, start, withdraw
from tests.domain.scenario import Given, given

TWO = policy(needs("finance", count=2))


def granted_by_ann() -> Given:
    return given().when(start()).when(request(policy=TWO)).when(grant("ann")).then(ApprovalGranted)


def test_what_was_taken_back_no_longer_counts() -> None:
    history = granted_by_ann().when(retract("ann", comment="I misread")).then(DecisionRetracted)

    [decision] = history.approval(1).decisions
    assert not decision.stands
    assert decision.retracted_version == history.state.version
    assert outstanding(history.approval(1))[0].count == 2


def test_any_verdict_after_it_is_a_new_decision() -> None:
    history = granted_by_ann().when(retract("ann")).then(DecisionRetracted)

    again = history.when(grant("ann")).then(ApprovalGranted)
    assert len(again.approval(1).decisions) == 2
    again.when(retract("ann")).then(DecisionRetracted)
    again.when(reject("ann")).then(ApprovalRejected, Resumed)


def test_twice_is_a_repeat() -> None:
    history = granted_by_ann().when(retract("ann")).then(DecisionRetracted)

    history.when(retract("ann")).then_repeated()
    command = retract("ann")(history.state)
    assert first_version(history.state, command) == history.state.version


def test_nothing_to_take_back() -> None:
    granted_by_ann().when(retract("bob")).then_refused(RefusalCode.INVALID_TRANSITION)


def test_not_after_the_resolution() -> None:
    history = granted_by_ann().when(withdraw())

    history.when(retract("ann")).then_refused(RefusalCode.ALREADY_DECIDED)


def test_a_late_repeat_of_a_decision_with_a_key_does_not_decide_anew() -> None:
    history = given().when(start()).when(request(policy=TWO))
    history = history.when(grant("ann", key="call-1")).when(retract("ann"))

    history.when(grant("ann", key="call-1")).then_repeated()
    history.when(grant("ann", key="call-2")).then(ApprovalGranted)


def test_a_key_names_one_decision() -> None:
    history = given().when(start()).when(request(policy=TWO)).when(grant("ann", key="call-1"))

    history.when(reject("ann", key="call-1")).then_refused(RefusalCode.KEY_REUSED)
    history.when(grant("bob", key="call-1")).then(ApprovalGranted, Resumed)
