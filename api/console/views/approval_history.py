"""What happened to an approval, the first first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from api.console.catalogue import N_
from api.console.views.approvals import name_of
from api.console.views.differences import Difference
from api.console.views.fields import Line, fields
from api.console.views.wording import STATES, VERDICTS
from domain.approvals.state import Approval, Decision, ResolutionCause
from domain.authorization import sees_standing_grants
from domain.names import same_name
from domain.values import Principal

Translate = Callable[..., str]
Changes = Mapping[int, Sequence[Difference]]
MAX_CHANGES = 30


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the history: a text, by whom, and what that person wrote, answered or changed.

    ``more_changes`` counts the changes that are not shown. ``standing_grant``: the one by which it
    was decided, if the viewer may see it.
    """

    at: datetime
    text: str
    comment: str | None = None
    answers: tuple[Line, ...] = ()
    changes: tuple[Difference, ...] = ()
    more_changes: int = 0
    standing_grant: UUID | None = None


def history_of(
    approval: Approval, viewer: Principal, text: Translate, changes: Changes
) -> list[Happened]:
    """Return what happened to an approval. ``changes``: of each amendment, by its version."""
    history = [
        Happened(
            at=approval.requested_at,
            text=text("%(who)s asked for approval", who=name_of(approval.requested_by)),
        )
    ]
    history += amendments_of(approval, text, changes)
    for decision in approval.decisions:
        history += _decided(decision, viewer, text)
    for delegation in approval.delegations:
        who, whom = name_of(delegation.by), name_of(delegation.to)
        words = text("%(who)s handed the decision to %(whom)s", who=who, whom=whom)
        history.append(Happened(at=delegation.at, text=words, comment=delegation.comment))
        if delegation.taken_back_at is not None:
            words = text("The decision is not with %(whom)s any more", whom=whom)
            history.append(Happened(at=delegation.taken_back_at, text=words))
    if approval.escalated_at is not None:
        groups = ", ".join(approval.escalated_to)
        words = text("The deadline passed: %(groups)s may decide too", groups=groups)
        history.append(Happened(at=approval.escalated_at, text=words))
    if approval.resolved_at is not None:
        ended = {
            "GRANTED": N_("The approval is granted, and the workflow goes on"),
            "REJECTED": N_("The approval is rejected"),
            "EXPIRED": N_("The approval expired"),
            "WITHDRAWN": N_("The request was withdrawn"),
            "CHANGES_REQUESTED": N_("Changes are requested"),
            "REVOKED": N_("The approval was revoked"),
        }.get(approval.status.value, STATES[approval.status.value])
        if approval.status.value == "GRANTED" and approval.resolution is ResolutionCause.EXPIRY:
            ended = N_("The deadline passed, and the policy grants it then")
        history.append(Happened(at=approval.resolved_at, text=text(ended)))
    if approval.redeemed_at is not None:
        history.append(
            Happened(at=approval.redeemed_at, text=text("The workflow used the approval"))
        )
    return sorted(history, key=lambda happened: happened.at)


def amendments_of(approval: Approval, text: Translate, changes: Changes) -> list[Happened]:
    """Return who changed the payload and how, in order."""
    return [
        Happened(
            at=amendment.at,
            text=text("%(who)s changed what will be done", who=name_of(amendment.by)),
            changes=tuple(changes.get(amendment.version, ())[:MAX_CHANGES]),
            more_changes=max(0, len(changes.get(amendment.version, ())) - MAX_CHANGES),
        )
        for amendment in approval.amendments
    ]


def _decided(decision: Decision, viewer: Principal, text: Translate) -> Iterator[Happened]:
    who, did = name_of(decision.by), text(VERDICTS[decision.verdict.value])
    words, grant = f"{who} {did}", decision.standing_grant_id
    if grant is not None:
        words = text("%(who)s approved in advance, by a standing grant", who=who)
        if not (sees_standing_grants(viewer) or same_name(viewer.id, decision.by.id)):
            grant = None
    answers = () if decision.answers is None else fields(decision.answers, text("Answers"))
    yield Happened(
        at=decision.at,
        text=words,
        comment=decision.comment,
        answers=tuple(answers),
        standing_grant=grant,
    )
    if decision.retracted_at is not None:
        words = text("%(who)s took the decision back", who=who)
        yield Happened(at=decision.retracted_at, text=words)
