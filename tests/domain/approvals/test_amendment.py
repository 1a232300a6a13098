"""Who grants an approval changes its payload, where the policy allows it."""

from typing import Any

import jsonpatch
import pytest
from hypothesis import given as hypothesis_given

from domain.approvals.amendment import MAX_COMPARED, json_patch
from domain.approvals.document import document_of
from domain.approvals.events import (
    ApprovalAmended,
    ApprovalChangesRequested,
    ApprovalDelegated,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRevoked,
    DecisionRetracted,
    DelegationTakenBack,
)
from domain.approvals.policy import Policy
from domain.approvals.quorum import current_stage, outstanding
from domain.approvals.simulation import simulate
from domain.approvals.state import ApprovalStatus
from domain.execution.events import Resumed
from domain.execution.idempotency import first_version
from domain.refusals import RefusalCode
from domain.serialization.canonical_json import canonical, digest, same
from tests.domain.ask import (
    AMENDED,
    HOUR,
    PAYLOAD,
    Ask,
    act_on_deadline,
    ask_changes,
    delegate,
    grant,
    needs,
    policy,
    redeem,
    reject,
    request,
    retract,
    revoke,
    start,
    take_back,
)
from tests.domain.people import approver
from tests.domain.scenario import Given, given
from tests.domain.strategies import json_values

CARL = approver("carl", "finance")
DORA = approver("dora")
EVE = approver("eve", "finance")
ONE = policy(amendable=True)
TWO = policy(needs("finance", count=2), rejections=2, amendable=True)
STAGES = policy(needs("finance"), needs("legal", stage=2), amendable=True)
DEARER = {"trip": "Eindhoven", "cost": 400}


def asked(wanted: Policy = TWO, **rest: Any) -> Given:
    return given().when(start()).when(request(policy=wanted, **rest))


def amend(by: Any = "bob", payload: Any = AMENDED, **rest: Any) -> Ask:
    return grant(by, amended_payload=payload, **rest)


def amended_by_bob(wanted: Policy = TWO) -> Given:
    """Ann grants what was asked, and Bob grants it with another payload."""
    history = asked(wanted).when(grant("ann")).then(ApprovalGranted)
    return history.when(amend("bob")).then(ApprovalAmended, ApprovalGranted)


def test_a_grant_may_change_the_payload() -> None:
    history = asked(ONE)
    seen = history.approval(1)

    history = history.when(amend("ann")).then(ApprovalAmended, ApprovalGranted, Resumed)

    approval = history.approval(1)
    assert approval.payload == AMENDED
    assert approval.payload_digest == digest(canonical(AMENDED))
    assert approval.digest == digest(canonical(document_of(history.state, approval)))
    [amendment] = approval.amendments
    assert amendment.patch == [{"op": "replace", "path": "/cost", "value": 90}]
    assert amendment.by.id == "ann"
    assert (amendment.seen_digest, amendment.digest) == (seen.digest, approval.digest)
    [decision] = approval.decisions
    assert decision.counts
    assert decision.digest == approval.digest


def test_grants_before_it_no_longer_count_and_refusals_stand() -> None:
    wanted = policy(needs("finance", count=2), rejections=3, amendable=True)
    refused = asked(wanted).when(grant("ann")).when(reject(CARL)).when(ask_changes(EVE))

    history = refused.when(amend("bob")).then(ApprovalAmended, ApprovalGranted)

    ann, carl, eve, bob = history.approval(1).decisions
    assert (ann.counts, carl.counts, eve.counts, bob.counts) == (False, True, True, True)
    assert ann.superseded_version == bob.amendment_version
    assert outstanding(history.approval(1))[0].count == 1


@pytest.mark.parametrize(
    ("ask", "events"),
    [
        (grant("ann"), (ApprovalGranted, Resumed)),
        (reject("ann"), (ApprovalRejected,)),
        (ask_changes("ann"), (ApprovalChangesRequested,)),
        (amend("ann", DEARER), (ApprovalAmended, ApprovalGranted)),
        (delegate("dora", "ann"), (ApprovalDelegated,)),
    ],
)
def test_who_no_longer_counts_may_give_any_verdict(ask: Ask, events: Any) -> None:
    amended_by_bob().when(ask).then(*events)


def test_what_was_granted_before_is_not_granted_by_the_digest_of_before() -> None:
    history = asked()
    seen = history.approval(1).digest
    history = history.when(grant("ann")).when(amend("bob"))

    # A late repeat of the first call, and not a grant of what stands now.
    history.when(grant("ann", digest=seen)).then_repeated()
    history.when(grant(CARL, digest=seen)).then_refused(RefusalCode.DIGEST_MISMATCH)
    history.when(reject("ann", digest=seen)).then_refused(RefusalCode.DIGEST_MISMATCH)
    assert outstanding(history.approval(1))[0].count == 1


def test_another_call_with_the_digest_of_before_is_no_repeat() -> None:
    history = asked()
    seen = history.approval(1).digest
    history = history.when(grant("ann", key="call-1")).when(amend("bob"))

    history.when(grant("ann", key="call-1", digest=seen)).then_repeated()
    # Who reads "accepted" would take it for a grant of what stands now.
    history.when(grant("ann", key="call-2", digest=seen)).then_refused(RefusalCode.DIGEST_MISMATCH)


def test_back_to_the_first_payload_the_first_grants_stay_without_effect() -> None:
    wanted = policy(needs("finance", count=3), amendable=True)
    history = asked(wanted)
    seen = history.approval(1).digest
    history = history.when(grant("ann")).when(amend("bob")).when(amend(CARL, PAYLOAD))

    approval = history.approval(1)
    assert approval.digest == seen
    assert [decision.counts for decision in approval.decisions] == [False, False, True]
    # So the same grant again is a new one.
    history.when(grant("ann")).then(ApprovalGranted).when(grant("ann")).then_repeated()


def test_the_same_amendment_of_the_same_document_is_a_repeat() -> None:
    history = asked()
    seen = history.approval(1).digest
    history = history.when(amend("bob"))
    command = amend("bob", digest=seen)(history.state)

    history.when(lambda _state: command).then_repeated()
    assert first_version(history.state, command) == history.approval(1).decisions[-1].version

    ended = history.when(grant("ann")).then(ApprovalGranted, Resumed)
    ended.when(lambda _state: command).then_repeated()


def test_an_amendment_is_compared_as_json() -> None:
    history = asked()
    seen = history.approval(1).digest
    history = history.when(amend("bob"))

    history.when(amend("bob", {"cost": 90.0, "trip": "Eindhoven"}, digest=seen)).then_repeated()


def test_another_decision_of_who_amended_comes_too_late() -> None:
    history = asked()
    seen = history.approval(1).digest
    history = history.when(amend("bob"))

    for other in (
        amend("bob", DEARER, digest=seen),
        amend("bob", DEARER),
        grant("bob", digest=seen),
        grant("bob"),
        reject("bob"),
    ):
        history.when(other).then_refused(RefusalCode.ALREADY_DECIDED, "bob already decided")


def test_who_granted_or_refused_does_not_amend() -> None:
    history = asked().when(grant("ann")).when(reject(CARL))

    for person in ("ann", CARL):
        history.when(amend(person)).then_refused(RefusalCode.ALREADY_DECIDED)


def test_a_refusal_that_stands_is_not_given_again_for_the_amended_document() -> None:
    history = asked().when(reject(CARL)).when(amend("bob"))

    history.when(reject(CARL)).then_refused(RefusalCode.ALREADY_DECIDED)


def test_a_key_names_one_amendment() -> None:
    history = asked()
    seen = history.approval(1).digest
    history = history.when(amend("bob", key="call-1"))

    history.when(amend("bob", digest=seen, key="call-1")).then_repeated()
    for other in (amend("bob", DEARER, digest=seen, key="call-1"), grant("bob", key="call-1")):
        history.when(other).then_refused(RefusalCode.KEY_REUSED)


@pytest.mark.parametrize(
    ("wanted", "ask", "said"),
    [
        (policy(), amend("ann"), "is not amendable"),
        (ONE, amend("ann", dict(reversed(PAYLOAD.items()))), "changes nothing"),
        (ONE, reject("ann", amended_payload=AMENDED), "comes with a grant only"),
        (ONE, ask_changes("ann", amended_payload=AMENDED), "comes with a grant only"),
    ],
)
def test_a_forbidden_amendment(wanted: Policy, ask: Ask, said: str) -> None:
    asked(wanted).when(ask).then_refused(RefusalCode.INVALID_INPUT, said)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ("x" * 262_144, "the limit is 262144"),
        ({"a": float("inf")}, "amendedPayload.a is a number that is not finite"),
        ({"a": 2**60}, "amendedPayload.a is a whole number beyond"),
    ],
)
def test_an_amended_payload_has_the_limits_of_a_requested_one(payload: Any, said: str) -> None:
    asked(ONE).when(amend("ann", payload)).then_refused(RefusalCode.INVALID_INPUT, said)


def test_who_loses_a_race_is_told_of_that_first() -> None:
    history = asked(policy()).when(grant("ann"))

    history.when(amend("bob")).then_refused(RefusalCode.ALREADY_DECIDED)
    asked(policy()).when(amend("bob", digest="sha256:other")).then_refused(
        RefusalCode.DIGEST_MISMATCH
    )
    asked(STAGES).when(amend("cleo", digest="sha256:other")).then_refused(RefusalCode.NOT_ELIGIBLE)


def test_the_first_of_two_amendments_wins() -> None:
    history = asked()
    seen = history.approval(1).digest
    history = history.when(amend("ann"))

    history.when(amend("bob", DEARER, digest=seen)).then_refused(RefusalCode.DIGEST_MISMATCH)
    history.when(amend("bob", DEARER)).then(ApprovalAmended, ApprovalGranted)


def test_only_the_payload_as_finally_granted_is_redeemed() -> None:
    history = asked(ONE)
    requested = history.approval(1).payload_digest
    history = history.when(amend("ann"))

    history.when(redeem(digest=requested)).then_refused(RefusalCode.DIGEST_MISMATCH)
    history.when(redeem(digest=digest(canonical(AMENDED)))).then(ApprovalRedeemed)


def test_a_repeated_request_is_compared_with_what_was_asked() -> None:
    history = asked().when(amend("bob")).when(amend("ann", DEARER))

    history.when(request(policy=TWO)).then_repeated()
    for payload in (AMENDED, DEARER):
        history.when(request(policy=TWO, payload=payload)).then_refused(RefusalCode.KEY_REUSED)


def test_a_later_stage_that_amends_sends_it_back_to_the_first() -> None:
    amended = asked(STAGES).when(grant("ann")).when(amend("cleo"))
    history = amended.then(ApprovalAmended, ApprovalGranted)

    assert current_stage(history.approval(1)) == 1
    history.when(grant("ann")).then(ApprovalGranted, Resumed)


def test_an_amendment_stands_when_its_grant_is_taken_back() -> None:
    history = amended_by_bob().when(retract("bob")).then(DecisionRetracted)

    approval = history.approval(1)
    assert approval.payload == AMENDED
    assert outstanding(approval)[0].count == 2
    history = history.when(grant("bob")).then(ApprovalGranted)
    history.when(grant("ann")).then(ApprovalGranted, Resumed)


def test_a_grant_that_no_longer_counts_can_be_taken_back_as_well() -> None:
    history = amended_by_bob().when(retract("ann")).then(DecisionRetracted)

    history.when(retract("ann")).then_repeated()
    history.when(grant("ann")).then(ApprovalGranted, Resumed)


def test_who_was_stood_in_for_has_the_decision_again() -> None:
    decided = asked().when(delegate("dora", "ann")).when(grant(DORA))
    decided.when(take_back("ann")).then_refused(RefusalCode.ALREADY_DECIDED)

    history = decided.when(amend("bob")).when(take_back("ann")).then(DelegationTakenBack)

    history.when(grant("ann")).then(ApprovalGranted, Resumed)


def test_a_delegate_amends_for_who_delegated() -> None:
    history = asked(ONE).when(delegate("dora", "ann")).when(amend(DORA))

    [amendment] = history.approval(1).amendments
    [decision] = history.approval(1).decisions
    assert amendment.by.id == "dora"
    assert decision.on_behalf_of is not None
    assert decision.on_behalf_of.id == "ann"


def test_only_who_granted_what_stands_revokes_it() -> None:
    history = amended_by_bob().when(grant(CARL)).then(ApprovalGranted, Resumed)

    history.when(revoke("ann")).then_refused(RefusalCode.NOT_ELIGIBLE)
    history.when(revoke(CARL)).then(ApprovalRevoked)


def test_deadline_and_reminders_stay_as_they_were() -> None:
    wanted = policy(
        needs("finance", count=2), within=4 * HOUR, remind_before=(HOUR,), amendable=True
    )
    history = asked(wanted)
    before = history.approval(1)

    after = history.when(amend("bob")).approval(1)

    assert (after.deadline, after.next_due) == (before.deadline, before.next_due)
    assert after.deadline_version == before.deadline_version
    history.after(5 * HOUR).when(act_on_deadline())
    assert history.approval(1).status is ApprovalStatus.EXPIRED


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        (TWO, ApprovalStatus.GRANTED),
        # Ann's grant of the first document would have been enough.
        (ONE, ApprovalStatus.GRANTED),
        (policy(needs("finance", count=2)), ApprovalStatus.PENDING),
        (policy(needs("legal"), amendable=True), ApprovalStatus.PENDING),
    ],
)
def test_another_policy_is_simulated_with_the_amendments(
    wanted: Policy, status: ApprovalStatus
) -> None:
    history = amended_by_bob().when(grant(CARL))

    simulated = simulate(history.state, history.approval(1), wanted)

    assert simulated.status is status
    if status is ApprovalStatus.PENDING and not wanted.amendable:
        assert "bob amended the payload, which the policy does not allow" in simulated.reason
        assert "carl granted what a decision that is left out had amended" in simulated.reason


@hypothesis_given(json_values, json_values)
def test_the_patch_leads_from_one_payload_to_the_other(before: Any, after: Any) -> None:
    assert same(jsonpatch.apply_patch(before, json_patch(before, after)), after)


def test_large_values_are_compared_member_by_member() -> None:
    long = "x" * MAX_COMPARED
    before = {"a/b": {"~": long, "gone": 1, "n": [1, 2]}, "list": [long, 1]}
    after = {"a/b": {"~": long, "new": 1, "n": [1, 3]}, "list": [long, 2]}

    patch = json_patch(before, after)

    assert jsonpatch.apply_patch(before, patch) == after
    assert patch == [
        {"op": "remove", "path": "/a~1b/gone"},
        {"op": "replace", "path": "/a~1b/n/1", "value": 3},
        {"op": "add", "path": "/a~1b/new", "value": 1},
        {"op": "replace", "path": "/list", "value": [long, 2]},
    ]
