"""A decision is bound to the document that was shown, and redeeming to what was granted."""

import hashlib

import pytest
import rfc8785

from domain.approvals.document import document_digest, document_of, instant_json
from domain.approvals.events import (
    ApprovalRequested,
)
from domain.execution.state import Execution
from domain.refusals import RefusalCode
from domain.serialization.canonical_json import canonical
from tests.domain.ask import Ask, grant, needs, policy, redeem, reject, request
from tests.domain.facts import (
    failed,
    granted,
    rejected,
    requested,
    resumed,
    retried,
    started,
)
from tests.domain.recording import NOON
from tests.domain.scenario import given


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_the_payload_digest_is_over_the_canonical_payload() -> None:
    outcome = given(started()).when(request(payload={"b": 2.0, "a": "é"}))

    assert outcome.approval(1).payload_digest == sha256('{"a":"é","b":2}'.encode())


def test_the_document_holds_all_that_is_put_before_the_approver() -> None:
    outcome = given(started(by="olivia", on_behalf_of="ann")).when(
        request(
            "permit",
            title="Trip",
            description="By train",
            payload={"cost": 1},
            policy=policy(needs("finance", users=("bob",)), rejections=2),
        )
    )

    document = document_of(outcome.state, outcome.approval(1))

    assert document == {
        "executionId": "0190f1a6-0000-7000-8000-000000000001",
        "workflow": "travel",
        "initiator": {"id": "olivia", "name": "Olivia"},
        "onBehalfOf": "ann",
        "key": "permit",
        "round": 1,
        "title": "Trip",
        "description": "By train",
        "payload": {"cost": 1},
        "form": None,
        "policy": {
            "requirements": [{"count": 1, "groups": ["finance"], "users": ["bob"]}],
            "rejections": 2,
            "allowInitiator": False,
            "onExpiry": "REJECT",
            "escalateTo": [],
        },
        "deadline": None,
    }
    assert outcome.approval(1).digest == sha256(rfc8785.dumps(document))


def test_the_digest_is_the_same_with_the_payload_made_canonical_beforehand() -> None:
    history = given(started(), requested(payload={"z": [1, "ü"], "a": {"\n": None}}))
    document = document_of(history.state, history.approval(1))

    assert document_digest(document, canonical(document["payload"])) == sha256(canonical(document))


def digest_of(execution: Execution, ask: Ask) -> str:
    (outcome,) = (given(started()).when(ask).then(ApprovalRequested),)
    assert execution.id == outcome.state.id
    return outcome.approval(1).digest


@pytest.mark.parametrize(
    "other",
    [
        request("other"),
        request(title="Other"),
        request(description="Other"),
        request(payload={}),
        request(policy=policy(needs("legal"))),
        request(policy=policy(allow_initiator=True)),
        request(policy=policy(rejections=2)),
    ],
)
def test_whatever_the_approver_sees_changes_the_digest(other: Ask) -> None:
    history = given(started())

    assert digest_of(history.state, other) != digest_of(history.state, request())


def test_a_grant_of_one_round_can_not_be_shown_for_the_next() -> None:
    history = given(started(), requested(), rejected(), resumed(), failed(), retried())
    history = history.when(request()).then(ApprovalRequested)
    first, second = history.approval(1), history.approval(2)

    assert first.payload_digest == second.payload_digest
    assert first.digest != second.digest
    history.when(grant(ordinal=2, digest=first.digest)).then_refused(RefusalCode.DIGEST_MISMATCH)


@pytest.mark.parametrize("ask", [grant(digest="sha256:other"), reject(digest="sha256:other")])
def test_a_decision_about_another_document_is_refused(ask: Ask) -> None:
    history = given(started(), requested())

    history.when(ask).then_refused(RefusalCode.DIGEST_MISMATCH, history.approval(1).digest)


def test_the_digest_of_the_payload_does_not_do_for_a_decision() -> None:
    history = given(started(), requested())

    history.when(grant(digest=history.approval(1).payload_digest)).then_refused(
        RefusalCode.DIGEST_MISMATCH
    )


def test_the_same_person_granting_another_document_is_a_mismatch_and_no_repeat() -> None:
    history = given(
        started(), requested(policy=policy(needs("finance", count=2))), granted(resolves=False)
    )

    history.when(grant(digest="sha256:other")).then_refused(RefusalCode.DIGEST_MISMATCH)


def test_redeeming_is_bound_to_the_payload() -> None:
    history = given(started(), requested(), granted(), resumed())

    history.when(redeem(digest="sha256:other")).then_refused(
        RefusalCode.DIGEST_MISMATCH, history.approval(1).payload_digest
    )
    history.when(redeem(digest=history.approval(1).digest)).then_refused(
        RefusalCode.DIGEST_MISMATCH
    )


def test_a_moment_is_written_with_microseconds_in_utc() -> None:
    assert instant_json(NOON) == "2026-03-02T12:00:00.250000Z"
