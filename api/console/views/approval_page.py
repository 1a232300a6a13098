"""An approval as its page shows it, made from the document that its digest covers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from api.console.catalogue import N_
from api.console.views.abilities import Abilities, abilities_of
from api.console.views.amending import Amending, amending_of
from api.console.views.approval_history import Changes, Happened, history_of
from api.console.views.approvals import decision_of, name_of
from api.console.views.decisions import Decided, decided
from api.console.views.fields import Line, fields
from api.console.views.reader import Reader
from api.console.views.requirements import Stage, stages_of
from api.console.views.wording import STATES, TONES, reason_text
from domain.approvals import eligibility, step_up
from domain.approvals.document import document_of
from domain.approvals.places import place_of
from domain.approvals.policy import Policy
from domain.approvals.state import Approval, ResolutionCause
from domain.authorization import eligible, may_decide
from domain.execution.state import Execution
from domain.serialization.canonical_json import canonical, digest
from domain.values import Principal

Translate = Callable[..., str]

# The members of a document and of a policy that the page has a place for. All others are shown as
# fields, so that nothing is decided that was not shown.
_PLACED = {
    *("executionId", "workflow", "initiator", "onBehalfOf", "key", "round"),
    *("title", "description", "payload", "policy", "form"),
}
_PLACED_OF_POLICY = {
    *("requirements", "rejections", "allowInitiator", "amendable", "commentRequired"),
    *("acrValues", "maxAuthAge"),
}
_LABELS = {
    "deadline": N_("Deadline"),
    "within": N_("Time to decide"),
    "calendar": N_("Counted in the working hours of"),
    "remindBefore": N_("Reminders before the deadline"),
    "onExpiry": N_("At the deadline"),
    "escalateTo": N_("Who may decide then"),
    "validFor": N_("Time to use it"),
}
_SPANS = {"within", "remindBefore", "validFor"}
_AT_THE_DEADLINE = {
    "GRANT": N_("It is approved without a decision."),
    "ESCALATE": N_("Others may decide too."),
}
# What they are if nobody has set them.
_UNSET: dict[str, Any] = {"onExpiry": "REJECT", "escalateTo": [], "deadline": None}


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One approval. ``digest`` is that of the document from which everything else was made."""

    id: str
    digest: str
    document: dict[str, Any]
    payload: list[Line]
    further: list[Line]
    stages: list[Stage]
    rejections: int
    allow_initiator: bool
    comment_required: bool
    asks_for_login: str
    needs_login: bool
    has_form: bool
    amending: Amending
    history: list[Happened]
    status: str
    pending: bool
    word: str
    tone: str
    may_decide: bool
    why: str
    objections: list[str]
    mine: Decided | None
    may_take_back: bool
    may_allow: bool
    requested_at: datetime
    resolved_at: datetime | None
    redeemed_at: datetime | None
    deadline: datetime | None
    valid_until: datetime | None
    on_expiry: str
    escalated_to: str
    by_expiry: bool
    abilities: Abilities


def shown(
    reader: Reader, execution: Execution, approval: Approval, changes: Changes | None = None
) -> Shown:
    """Return everything that the page of an approval shows to a reader.

    ``changes``: what each amendment changed, by its version, for the history.
    """
    viewer, text = reader.viewer, reader.text
    decisions = [decided(decision, text) for decision in approval.decisions]
    document = document_of(execution, approval)
    policy = document["policy"]
    objections = list(eligibility.objections(viewer, execution, approval))
    mine = decision_of(approval, viewer)
    further = {
        text(_LABELS.get(name, name)): _in_words(name, value, reader)
        for name, value in {**document, **policy}.items()
        if name not in _PLACED | _PLACED_OF_POLICY and value != _UNSET.get(name, ...)
    }
    open_ = approval.pending and approval.decision_that_bars(viewer.id) is None
    may_decide = open_ and not objections
    return Shown(
        id=str(approval.id),
        digest=digest(canonical(document)),
        document=document,
        payload=fields(document["payload"], text("Value")),
        further=fields(further) if further else [],
        stages=stages_of(approval, decisions, text, reader.plural),
        rejections=approval.policy.rejections,
        allow_initiator=approval.policy.allow_initiator,
        comment_required=approval.policy.comment_required,
        asks_for_login=_login_words(approval.policy, reader),
        needs_login=may_decide
        and step_up.missing_login(approval.policy, viewer, reader.now) is not None,
        has_form=approval.form is not None,
        amending=amending_of(approval, viewer, text, may_decide=may_decide),
        history=history_of(approval, viewer, text, changes or {}),
        status=approval.status.value,
        pending=approval.pending,
        word=STATES[approval.status.value],
        tone=TONES[approval.status.value],
        may_decide=may_decide,
        why=_why(viewer, execution, approval, text) if not objections else "",
        objections=[reason_text(reason, text) for reason in objections],
        mine=None if mine is None else decided(mine, text),
        may_take_back=approval.pending and mine is not None,
        may_allow=_may_allow(approval, viewer),
        requested_at=approval.requested_at,
        resolved_at=approval.resolved_at,
        redeemed_at=approval.redeemed_at,
        deadline=approval.current_deadline,
        valid_until=None if approval.redeemed_version else approval.valid_until,
        on_expiry=approval.policy.on_expiry.value,
        escalated_to=", ".join(approval.escalated_to),
        by_expiry=approval.resolution is ResolutionCause.EXPIRY,
        abilities=abilities_of(execution, approval, viewer, reader.now),
    )


def _in_words(name: str, value: Any, reader: Reader) -> Any:
    """Return a term of the policy as people say it, any other as it is."""
    if name == "onExpiry" and value in _AT_THE_DEADLINE:
        return reader.text(_AT_THE_DEADLINE[value])
    if name == "deadline":
        return reader.exact_time(msgspec.convert(value, datetime))
    if name in _SPANS:
        spans = value if isinstance(value, list) else [value]
        said = [reader.exact_span(msgspec.convert(span, timedelta)) for span in spans]
        return said if isinstance(value, list) else said[0]
    return value


def _login_words(policy: Policy, reader: Reader) -> str:
    """Return which login the policy asks for, "" if any will do."""
    if not policy.asks_for_login:
        return ""
    strengths = ", ".join(policy.acr_values)
    if policy.max_auth_age is None:
        return reader.text("Deciding needs a login of the strength %(acr)s.", acr=strengths)
    age = reader.exact_span(policy.max_auth_age)
    if not strengths:
        return reader.text("Deciding needs a login that is no older than %(age)s.", age=age)
    return reader.text(
        "Deciding needs a login of the strength %(acr)s that is no older than %(age)s.",
        acr=strengths,
        age=age,
    )


def _may_allow(approval: Approval, viewer: Principal) -> bool:
    """Whether the viewer could allow approvals like this one in advance."""
    asks_for_words = approval.policy.comment_required or approval.form is not None
    asks_for_more = asks_for_words or approval.policy.asks_for_login
    return may_decide(viewer) and eligible(viewer, approval) and not asks_for_more


def _why(viewer: Principal, execution: Execution, approval: Approval, text: Translate) -> str:
    place = place_of(viewer, execution, approval)
    assert place is not None, "only who may decide is told why"
    kind, _, name = eligibility.rule_for(place, approval).partition(":")
    if place.on_behalf_of is not None and place.substitution is not None:
        who = name_of(place.on_behalf_of)
        return text("You decide in the place of %(who)s, as their substitute.", who=who)
    if place.on_behalf_of is not None:
        return text("You decide in the place of %(who)s.", who=name_of(place.on_behalf_of))
    if kind == "group":
        return text("You may decide as a member of %(group)s.", group=name)
    if kind == "escalation":
        return text("You may decide as a member of %(group)s, after the escalation.", group=name)
    return text("You may decide because the policy names you.")
