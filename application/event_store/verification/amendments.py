"""The amendments: what they say that changed, against what changed."""

from collections.abc import Iterable, Iterator
from typing import Any

import jsonpatch

from application.event_store.verification.audit import NOTHING, Audit, Step, Stream
from application.event_store.verification.findings import Finding
from domain.approvals.document import document_digest, document_of
from domain.approvals.events import ApprovalAmended, ApprovalGranted
from domain.serialization.canonical_json import canonical, digest, same

KIND = "amendment"

_DIGEST = "what people saw and what was recorded are not the same"
_ALONE = "the grant of the same commit was removed or changed"


class AmendmentsAudit(Audit):
    """Each amendment, and the grant that comes with it."""

    def __init__(self) -> None:
        self._amendments = 0

    def event(self, step: Step) -> Iterable[Finding]:
        recorded, previous = step.event.recorded, step.previous
        if isinstance(recorded.event, ApprovalAmended):
            self._amendments += 1
            return _amended(step, recorded.event)
        if previous is None or not isinstance(previous.event, ApprovalAmended):
            return NOTHING
        granted = (
            isinstance(recorded.event, ApprovalGranted)
            and recorded.event.ordinal == previous.event.ordinal
            and (recorded.command_id, recorded.actor.id) == (previous.command_id, previous.actor.id)
        )
        if granted:
            return NOTHING
        return [step.finding(KIND, "the amendment before it comes without a grant", _ALONE)]

    def ended(self, stream: Stream) -> Iterable[Finding]:
        if stream.head is None:
            return NOTHING
        amendments = (
            amendment
            for approval in stream.head.execution.approvals.values()
            for amendment in approval.amendments
        )
        if all(amendment.version < stream.version for amendment in amendments):
            return NOTHING
        return [stream.finding(KIND, "its last event amends, but nobody grants it", _ALONE)]

    def checked(self) -> Iterable[str]:
        yield (
            f"{self._amendments} amendments: that the policy allows them, their digests, that the "
            "patch leads from the payload before to the one after, and that a grant comes with them"
        )


def _amended(step: Step, event: ApprovalAmended) -> Iterator[Finding]:
    assert step.before is not None
    before = step.before.approvals[event.ordinal]
    after = step.head.execution.approvals[event.ordinal]
    if not before.policy.amendable:
        message = "the payload is amended"
        yield step.finding(KIND, message, "the policy that was frozen does not allow it")
    if event.seen_digest != before.digest:
        message = "it amends another document than the one that stood"
        yield step.finding(KIND, message, _DIGEST)
    try:
        payload = canonical(after.payload)
        document = document_digest(document_of(step.head.execution, after), payload)
    except ValueError as error:
        yield step.finding(KIND, f"the document has no canonical JSON: {error}", _DIGEST)
        return
    if digest(payload) != event.payload_digest:
        yield step.finding(KIND, "the payload does not match its digest", _DIGEST)
    if document != event.digest:
        yield step.finding(KIND, "the document does not match its digest", _DIGEST)
    if event.payload_digest == before.payload_digest:
        yield step.finding(KIND, "the amendment changes nothing", "no server records that")
    if not _leads_to(after.payload, event.content.patch, before.payload):
        message = "the patch does not lead from the payload before to the one after"
        yield step.finding(KIND, message, "people are shown another change than was made")


def _leads_to(after: Any, patch: Any, before: Any) -> bool:
    try:
        return same(jsonpatch.apply_patch(before, patch), after)
    except Exception:  # noqa: BLE001 - a forged patch can be anything, and so can what it raises
        return False
