"""The commands about approvals: those of workers, of people, and of the server."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from domain import validation
from domain.approvals.forms import check_answers, check_form
from domain.approvals.policy import ExpiryAction, Policy, check_policy, check_times
from domain.approvals.state import Verdict
from domain.approvals.working_hours import WorkingHours
from domain.execution.commands import Command, WorkerCommand
from domain.names import normal
from domain.serialization.canonical_json import canonical, digest
from domain.validation import Problem, first, optional
from domain.values import Principal


class WorkerApprovalCommand(WorkerCommand, frozen=True, kw_only=True):
    """A worker's command about the approval with this ordinal."""

    ordinal: int


class RequestApproval(WorkerCommand, frozen=True, kw_only=True):
    """``deadline`` is until when people can decide; the policy may give it as ``within`` instead.

    ``working_hours`` are those of the policy's calendar, None if the server does not know it.
    ``form`` is the JSON Schema of what those who grant have to answer; None if nothing is asked.
    """

    key: str
    title: str
    description: str | None = None
    payload: Any
    form: Any = None
    policy: Policy
    deadline: datetime | None = None
    working_hours: WorkingHours | None = None
    canonical_payload: bytes = b""
    payload_digest: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.problem is None:
            data = canonical(self.payload)
            msgspec.structs.force_setattr(self, "canonical_payload", data)
            msgspec.structs.force_setattr(self, "payload_digest", digest(data))

    def check(self) -> Problem:
        return first(
            validation.name(self.key, "key"),
            validation.required_text(self.title, "title", validation.MAX_TITLE),
            optional(validation.text, self.description, "description"),
            check_policy(self.policy),
            check_times(self.policy, has_deadline=self.deadline is not None),
            _check_form(self.form, self.policy),
            validation.json(self.payload, "payload"),
        )


def _check_form(form: Any, policy: Policy) -> Problem:
    if form is None:
        return None
    if policy.on_expiry is ExpiryAction.GRANT:
        return "form and policy.onExpiry GRANT exclude each other: nobody would answer the form"
    return check_form(form)


class WithdrawApproval(WorkerApprovalCommand, frozen=True, kw_only=True):
    reason: str

    def check(self) -> Problem:
        return validation.required_text(self.reason, "reason")


class PersonsApprovalCommand(Command, frozen=True, kw_only=True):
    """A person's command about the approval with this ordinal."""

    ordinal: int


class Decide(PersonsApprovalCommand, frozen=True, kw_only=True):
    """Grant or reject the document that has this digest, or request changes of it.

    With ``amended_payload`` a grant changes the document: ``digest`` is that of the one before.
    ``key`` tells a repeat of one call from a new decision after a retraction. ``answers`` are to
    the form of the approval. :meth:`check_answers_to` checks them, before the log is locked:
    ``answers_problem`` is what is wrong with them as answers to ``checked_form``.
    """

    verdict: Verdict
    digest: str
    comment: str | None = None
    answers: Any = None
    amended_payload: Any = None
    key: str | None = None
    canonical_amendment: bytes = b""
    amendment_digest: str | None = None
    checked_form: Any = None
    answers_problem: Problem = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.problem is None and self.amended_payload is not None:
            data = canonical(self.amended_payload)
            msgspec.structs.force_setattr(self, "canonical_amendment", data)
            msgspec.structs.force_setattr(self, "amendment_digest", digest(data))

    def check(self) -> Problem:
        if self.verdict is not Verdict.GRANTED and not (self.comment or "").strip():
            what = "a rejection" if self.verdict is Verdict.REJECTED else "a request for changes"
            return f"comment must not be empty: {what} says why"
        return first(
            validation.name(self.digest, "digest"),
            optional(validation.name, self.key, "key"),
            optional(validation.text, self.comment, "comment"),
            self._check_answers(),
            optional(validation.json, self.amended_payload, "amendedPayload"),
        )

    def check_answers_to(self, form: Any) -> Problem:
        """Return what is wrong with them as answers to this form, or None.

        They are checked once, unless the approval turns out to have another form: after a failover
        the log can be another one.
        """
        if self.checked_form is None or self.checked_form != form:
            problem = check_answers(form, self.answers)
            msgspec.structs.force_setattr(self, "answers_problem", problem)
            msgspec.structs.force_setattr(self, "checked_form", form)
        return self.answers_problem

    def _check_answers(self) -> Problem:
        if self.answers is None:
            return None
        if self.verdict is not Verdict.GRANTED:
            return "answers can be given with a grant only: leave them out"
        return validation.json(self.answers, "answers")


class RetractDecision(PersonsApprovalCommand, frozen=True, kw_only=True):
    """Take back the caller's own decision while the approval is pending."""

    comment: str | None = None

    def check(self) -> Problem:
        return optional(validation.text, self.comment, "comment")


class DelegateApproval(PersonsApprovalCommand, frozen=True, kw_only=True):
    """Hand the right to decide to the person with the id ``to``."""

    to: str
    comment: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        msgspec.structs.force_setattr(self, "to", normal(self.to))

    def check(self) -> Problem:
        return first(
            validation.name(self.to, "to"), optional(validation.text, self.comment, "comment")
        )


class TakeBackDelegation(PersonsApprovalCommand, frozen=True, kw_only=True):
    """Take back the caller's own delegation while nobody has decided with it."""


class RevokeApproval(PersonsApprovalCommand, frozen=True, kw_only=True):
    """Take back a grant that was not redeemed."""

    reason: str

    def check(self) -> Problem:
        return validation.required_text(self.reason, "reason")


class CommentApproval(PersonsApprovalCommand, frozen=True, kw_only=True):
    """Comment on an approval. A repeat with the same key adds nothing."""

    text: str
    key: str | None = None

    def check(self) -> Problem:
        return first(
            validation.required_text(self.text, "text"),
            optional(validation.name, self.key, "key"),
        )


class ClaimApproval(PersonsApprovalCommand, frozen=True, kw_only=True):
    """Say that the caller is looking into the approval."""


class UnclaimApproval(PersonsApprovalCommand, frozen=True, kw_only=True):
    """Say that the caller is not looking into the approval any more."""


class RedeemApproval(WorkerApprovalCommand, frozen=True, kw_only=True):
    payload_digest: str
    redemption_key: str

    def check(self) -> Problem:
        return first(
            validation.name(self.payload_digest, "payloadDigest"),
            validation.name(self.redemption_key, "redemptionKey"),
        )


class ActOnDeadline(Command, frozen=True, kw_only=True):
    """Remind, escalate or expire an approval for which that is due. Only the server sends this.

    ``deadline_version`` is the version of the event that set the deadline that is meant.
    """

    needs_exact_time: ClassVar[bool] = True
    ordinal: int
    deadline_version: int


class DecideInAdvance(Command, frozen=True, kw_only=True):
    """Grant the document with this digest as a standing grant allows. Only the server sends this.

    ``person`` is who created the standing grant, with the roles and groups of then.
    ``asked_version`` is that of the grant's use.
    """

    ordinal: int
    digest: str
    person: Principal
    grant_id: UUID
    asked_version: int

    @property
    def use_key(self) -> str:
        """The key of the decision, by which a repeat is known. It names the use."""
        return use_key(self.grant_id, self.asked_version)


def use_key(grant_id: UUID, asked_version: int) -> str:
    """Return the key of the decision that a use of a standing grant makes."""
    return f"{grant_id} {asked_version}"


ApprovalCommand = WorkerApprovalCommand | PersonsApprovalCommand | DecideInAdvance
