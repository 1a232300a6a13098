"""What people do on the page of an approval: each form is a command of the API."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import msgspec

from api.console.forms import Form
from api.console.pages.amending import reviewed_payload
from api.console.pages.answers import read_answers
from api.console.pages.decisions import VERDICTS, Wish, decision, text_of
from api.console.visit import Visit
from domain.approvals.commands import (
    ClaimApproval,
    CommentApproval,
    Decide,
    DelegateApproval,
    PersonsApprovalCommand,
    RetractDecision,
    RevokeApproval,
    TakeBackDelegation,
    UnclaimApproval,
)
from domain.approvals.state import Approval, Verdict


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent from a section of the page and refused. It is empty if nothing was.

    ``comment_missing``: the comment of the decision is what is wrong. ``problems``: what is wrong
    with answers, by the pointers of their questions.
    """

    section: str = ""
    refusal: str = ""
    comment_missing: bool = False
    problems: Mapping[str, str] = {}
    form: Form = msgspec.field(default_factory=Form)

    def typed(self, section: str, field: str) -> str:
        """Return what was typed into a field of a section, "" if that was not sent."""
        return self.form.value(field) if section == self.section else ""


class Action(NamedTuple):
    """A form of a section. ``command`` raises ValueError with what is wrong with its fields."""

    section: str
    command: Callable[[Visit, Approval], PersonsApprovalCommand]


def _decide(verdict: str, visit: Visit, approval: Approval) -> PersonsApprovalCommand:
    wish = Wish(approval.id, visit.form.value("digest"))
    return _with_answers(visit, decision(visit, wish, VERDICTS[verdict]), approval)


def _amend(visit: Visit, approval: Approval) -> PersonsApprovalCommand:
    wish = Wish(approval.id, visit.form.value("digest"))
    amended = decision(visit, wish, Verdict.GRANTED, reviewed_payload(visit))
    return _with_answers(visit, amended, approval)


def _with_answers(visit: Visit, decided: Decide, approval: Approval) -> Decide:
    """Return a grant with the answers that were filled in, if the approval has a form."""
    if approval.form is None or decided.verdict is not Verdict.GRANTED:
        return decided
    return msgspec.structs.replace(decided, answers=read_answers(visit, approval.form))


def _on(visit: Visit, approval: Approval) -> dict[str, Any]:
    return {
        "by": visit.principal,
        "execution_id": approval.id.execution_id,
        "ordinal": approval.ordinal,
    }


def _take_back(visit: Visit, approval: Approval) -> PersonsApprovalCommand:
    return RetractDecision(**_on(visit, approval))


def _comment(visit: Visit, approval: Approval) -> PersonsApprovalCommand:
    words = text_of(visit, "text")
    if words is None:
        raise ValueError(visit.text("Write something first."))
    return CommentApproval(**_on(visit, approval), text=words, key=visit.form.word("key"))


def _delegate(visit: Visit, approval: Approval) -> PersonsApprovalCommand:
    to = visit.form.word("to")
    if to is None:
        raise ValueError(visit.text("Name the person to whom you hand the decision."))
    return DelegateApproval(**_on(visit, approval), to=to, comment=text_of(visit, "why"))


def _take_back_delegation(visit: Visit, approval: Approval) -> PersonsApprovalCommand:
    return TakeBackDelegation(**_on(visit, approval))


def _revoke(visit: Visit, approval: Approval) -> PersonsApprovalCommand:
    reason = text_of(visit, "reason")
    if reason is None:
        raise ValueError(visit.text("Say why the approval is revoked."))
    return RevokeApproval(**_on(visit, approval), reason=reason)


def _claim(visit: Visit, approval: Approval) -> PersonsApprovalCommand:
    return ClaimApproval(**_on(visit, approval))


def _unclaim(visit: Visit, approval: Approval) -> PersonsApprovalCommand:
    return UnclaimApproval(**_on(visit, approval))


ACTIONS: dict[str, Action] = {
    **{verdict: Action("decision", partial(_decide, verdict)) for verdict in VERDICTS},
    "amend": Action("decision", _amend),
    "take-back": Action("decision", _take_back),
    "comment": Action("comments", _comment),
    "delegate": Action("delegation", _delegate),
    "take-back-delegation": Action("delegation", _take_back_delegation),
    "revoke": Action("revocation", _revoke),
    "claim": Action("claim", _claim),
    "unclaim": Action("claim", _unclaim),
}
"""By the last part of the address to which the form is posted."""
