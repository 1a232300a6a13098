"""Digests of documents, computed from what is shown and remembered."""

from msgspec.structs import replace

from projections.approvals.document_digests import Digests, DocumentDigests
from tests.domain.facts import requested, started
from tests.domain.scenario import given


def test_the_digests_are_the_recorded_ones_of_an_unchanged_document() -> None:
    state = given(started(), requested()).state
    assert state is not None
    [approval] = state.approvals.values()
    digests = DocumentDigests()
    for _ in range(2):
        expected = Digests(approval.digest, approval.payload_digest)
        assert digests.of(state, approval) == expected


def test_a_remembered_document_is_not_taken_for_another() -> None:
    state = given(started(), requested()).state
    assert state is not None
    [approval] = state.approvals.values()
    digests = DocumentDigests(remembered=2)
    shown = [replace(approval, payload={"n": n}) for n in (1, 1.0, "1", True, None, [1])]
    first = [digests.of(state, each) for each in shown]
    assert [digests.of(state, each) for each in shown] == first
    # In canonical JSON, 1 and 1.0 are the same.
    assert len(set(first)) == len(shown) - 1
    assert first[0] == first[1]
