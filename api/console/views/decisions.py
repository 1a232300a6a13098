"""People's decisions, each with the rule that made the person eligible, in words."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from api.console.views.approvals import name_of
from api.console.views.wording import STATES, TONES
from domain.approvals.state import Decision

Translate = Callable[..., str]


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """One person's decision. ``groups`` are those that the person held then, in words.

    ``outdated``: a grant, and the payload was amended since.
    """

    by: str
    verdict: str
    word: str
    tone: str
    at: datetime
    version: int
    stage: int
    because: str
    groups: str
    comment: str | None
    taken_back: bool
    outdated: bool


def decided(decision: Decision, text: Translate) -> Decided:
    """Return a decision as pages show it."""
    return Decided(
        by=name_of(decision.by),
        verdict=decision.verdict.value,
        word=STATES[decision.verdict.value],
        tone=TONES[decision.verdict.value],
        at=decision.at,
        version=decision.version,
        stage=decision.stage,
        because=_because(decision, text),
        groups=_groups(decision, text),
        comment=decision.comment,
        taken_back=not decision.stands,
        outdated=decision.stands and not decision.counts,
    )


def _because(decision: Decision, text: Translate) -> str:
    kind, _, name = decision.rule.partition(":")
    words = {
        "group": text("as a member of %(group)s", group=name),
        "user": text("named by the policy"),
        "escalation": text("as a member of %(group)s, after the escalation", group=name),
    }.get(kind, decision.rule)
    if decision.standing_grant_id is not None:
        return text("%(why)s, by a standing grant", why=words)
    if decision.on_behalf_of is None:
        return words
    if decision.substitution is not None:
        who = name_of(decision.on_behalf_of)
        return text("as the substitute of %(who)s, %(why)s", who=who, why=words)
    return text("for %(who)s, %(why)s", who=name_of(decision.on_behalf_of), why=words)


def _groups(decision: Decision, text: Translate) -> str:
    groups = ", ".join(decision.groups)
    if not groups:
        return text("Groups held then: none")
    if decision.all_groups_known:
        return text("Groups held then: %(groups)s", groups=groups)
    return text("Of the groups held then, these are known: %(groups)s", groups=groups)
