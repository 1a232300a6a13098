"""What a mail says about an approval. How it looks is in ``templates/``.

All texts that people or workflows wrote are made safe here: hidden characters are named, links in
them are taken apart so that no mail program makes them clickable, and they are cut off where they
are too long for a mail.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_datetime, format_timedelta

from api.local_time import local_time
from api.visible_text import one_line, title_line, unlinked, visible
from application.notifications.message import Message, MessageKind, Subject
from domain.approvals import quorum
from domain.approvals.events import (
    ApprovalCommented,
    ApprovalDelegated,
    ApprovalRevoked,
    ApprovalWithdrawn,
    Decided,
)
from domain.approvals.policy import Requirement
from domain.approvals.state import Approval, ApprovalStatus, ResolutionCause
from domain.values import Actor

LOCALE = "en"
MAX_TITLE = 150
MAX_NAME = 80
MAX_TEXT = 2000
MAX_VALUE = 200
MAX_LINES = 12
MAX_ITEMS = 50
MAX_PARTS, MAX_SEEN = 100, 500


class Fact(NamedTuple):
    """A line of a table."""

    label: str
    value: str


class Quote(NamedTuple):
    """What somebody wrote, and who."""

    by: str
    text: str


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One approval. ``payload`` is what is to be done; ``more`` says how much of it is left out."""

    lead: str
    title: str
    description: str = ""
    quote: Quote | None = None
    facts: tuple[Fact, ...] = ()
    payload: tuple[Fact, ...] = ()
    more: str = ""
    button: str
    link: str
    asks: bool


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A mail, before it has a form. ``preview`` is what an inbox shows beside the subject."""

    subject: str
    preview: str
    heading: str = ""
    sections: tuple[Section, ...]
    left_out: int = 0
    reason: str
    preferences: str


def letter_for(message: Message, public_url: str, now: datetime) -> Letter:
    """Write the letter for a message, which has a subject, or items."""
    if message.kind is MessageKind.DIGEST:
        return _digest(message, public_url, now)
    assert message.subject is not None
    section = _section(message, message.subject, public_url, now)
    return Letter(
        subject=f"[Placet] {_title(message.subject)}",
        preview=section.lead,
        sections=(section,),
        reason=_REASONS.get(message.kind, _TAKES_PART),
        preferences=f"{public_url}/preferences",
    )


def _digest(message: Message, public_url: str, now: datetime) -> Letter:
    # The last word about each approval: what was before is seen on its page.
    last = {(item.execution_id, item.ordinal): item for item in message.items}
    sections = [
        _section(item, item.subject, public_url, now)
        for item in last.values()
        if item.subject is not None
    ]
    sections.sort(key=lambda section: not section.asks)
    waiting = sum(section.asks for section in sections)
    other = len(sections) - waiting
    parts = [f"{_count(waiting, 'approval')} for you to decide"] if waiting else []
    if other:
        parts.append(f"{_count(other, 'other')} with news" if waiting else _news(other))
    heading = ", ".join(parts)
    return Letter(
        subject=f"[Placet] {heading}",
        preview=", ".join(section.title for section in sections[:3]),
        heading=heading,
        sections=tuple(sections[:MAX_ITEMS]),
        left_out=max(0, len(sections) - MAX_ITEMS),
        reason="You chose to be told once a day.",
        preferences=f"{public_url}/preferences",
    )


def _count(number: int, of: str) -> str:
    return f"{number} {of}{'' if number == 1 else 's'}"


def _news(number: int) -> str:
    return f"News about {_count(number, 'approval')}"


def _section(message: Message, subject: Subject, public_url: str, now: datetime) -> Section:
    approval = subject.approval
    asks = message.kind in _ASKING
    lines, more = _lines(approval.payload) if asks else ([], "")
    return Section(
        lead=_lead(message.kind, subject, now),
        title=unlinked(_title(subject)),
        description=_text(approval.description or "") if asks else "",
        quote=_quote(subject),
        facts=tuple(_facts(subject, now, asks=asks)),
        payload=tuple(lines),
        more=more,
        button="Look and decide" if asks else "Open the approval",
        link=f"{public_url}/approvals/{approval.id}",
        asks=asks,
    )


def _title(subject: Subject) -> str:
    return title_line(subject.approval.title or subject.approval.key, MAX_TITLE)


_ASKING = frozenset(
    {
        MessageKind.OPENED,
        MessageKind.STAGE_BEGAN,
        MessageKind.REMINDER,
        MessageKind.ESCALATED,
        MessageKind.DELEGATED,
        MessageKind.TOO_FEW_PEOPLE,
    }
)
_TAKES_PART = "You get this mail because you asked for this approval, or took part in it."
_REASONS = {
    **dict.fromkeys(
        _ASKING - {MessageKind.TOO_FEW_PEOPLE},
        "You get this mail because you may decide this approval.",
    ),
    MessageKind.TOO_FEW_PEOPLE: "You get this mail because you are in the group that is told when "
    "too few people may decide.",
}


def _lead(kind: MessageKind, subject: Subject, now: datetime) -> str:
    approval = subject.approval
    match kind:
        case MessageKind.OPENED:
            return f"{_name(approval.requested_by)} asks for your decision."
        case MessageKind.STAGE_BEGAN:
            stage, stages = quorum.current_stage(approval), approval.policy.stages
            where = f" in stage {stage} of {stages}" if stages > 1 else ""
            return f"Your decision is asked for now{where}."
        case MessageKind.REMINDER:
            left = _until(approval, now)
            return f"This approval still waits for your decision{left}."
        case MessageKind.ESCALATED:
            return "The deadline passed without a decision, and you may decide now."
        case MessageKind.DELEGATED:
            return f"{_who(subject)} handed this decision to you."
        case MessageKind.TOO_FEW_PEOPLE:
            return "This approval needs more people than are known who may decide it."
        case MessageKind.COMMENTED:
            return f"{_who(subject)} commented on this approval."
        case MessageKind.CHANGES_REQUESTED:
            return f"{_who(subject)} asked for changes. The approval is still open."
        case MessageKind.REVOKED:
            return f"{_who(subject)} took the grant back. Nothing can be done with it any more."
        case _:
            return _resolution(subject)


def _resolution(subject: Subject) -> str:
    approval = subject.approval
    match approval.status:
        case ApprovalStatus.GRANTED if approval.resolution is ResolutionCause.EXPIRY:
            return "The deadline passed, and the policy grants the approval then."
        case ApprovalStatus.GRANTED:
            return "The approval is granted."
        case ApprovalStatus.REJECTED:
            return "The approval is rejected."
        case ApprovalStatus.CHANGES_REQUESTED:
            return "Changes are requested before it can be approved."
        case ApprovalStatus.EXPIRED:
            return "The deadline passed, and nobody had decided. The approval expired."
        case ApprovalStatus.WITHDRAWN:
            return "The request was withdrawn."
        case ApprovalStatus.REVOKED:
            return "The grant was taken back."
        case ApprovalStatus.PENDING:
            return "The approval is open."


def _quote(subject: Subject) -> Quote | None:
    """Return what was written with the event, None if nothing was."""
    recorded = subject.event
    if recorded is None:
        return None
    text: str | None = None
    match recorded.event:
        case ApprovalCommented(content=content):
            text = content.text
        case ApprovalDelegated(content=content) | Decided(content=content):
            text = content.comment
        case ApprovalRevoked(content=reason) | ApprovalWithdrawn(content=reason):
            text = reason.reason
    return Quote(_name(recorded.actor), _text(text)) if text else None


def _facts(subject: Subject, now: datetime, *, asks: bool) -> Iterator[Fact]:
    execution, approval = subject.execution, subject.approval
    yield Fact("Workflow", unlinked(one_line(execution.workflow, MAX_NAME)))
    yield Fact("Started by", _name(execution.initiator))
    if execution.on_behalf_of is not None:
        yield Fact("On behalf of", unlinked(one_line(execution.on_behalf_of, MAX_NAME)))
    if not asks:
        return
    if approval.current_deadline is not None:
        at, zone = approval.current_deadline, subject.time_zone
        left = format_timedelta(at - now, add_direction=True, locale=LOCALE)
        yield Fact("Deadline", f"{_moment(at, zone)} ({left})")
    if approval.pending:
        missing = "; ".join(map(_requirement, quorum.outstanding(approval)))
        yield Fact("Still needed", one_line(missing, MAX_VALUE))


def _requirement(requirement: Requirement) -> str:
    who = [one_line(name, MAX_NAME) for name in (*requirement.groups, *requirement.users)]
    stage = "" if requirement.stage == 1 else f" in stage {requirement.stage}"
    return unlinked(f"{requirement.count} of {' or '.join(who)}{stage}")


def _moment(at: datetime, zone: str) -> str:
    local = local_time(at, ZoneInfo(zone))
    return f"{format_datetime(local, 'd MMM y, HH:mm', locale=LOCALE)} {local.tzname()}"


def _until(approval: Approval, now: datetime) -> str:
    if approval.current_deadline is None or approval.current_deadline <= now:
        return ""
    left = format_timedelta(approval.current_deadline - now, locale=LOCALE)
    return f". It ends in {left}"


def _lines(value: Any) -> tuple[list[Fact], str]:
    """Return the first values of a payload with their paths, and how many more there are.

    Of a large one only a part is counted: each recipient's mail costs it again.
    """
    left: list[tuple[str, Any]] = [("", value)]
    lines: list[Fact] = []
    seen, uncounted = 0, 0
    while left and seen < MAX_SEEN:
        name, each = left.pop()
        parts: Sequence[tuple[Any, Any]] = ()
        if isinstance(each, dict) and each:
            parts = list(islice(each.items(), MAX_PARTS))
        elif isinstance(each, list) and each:
            parts = list(enumerate(each[:MAX_PARTS], 1))
        if parts:
            uncounted += len(each) - len(parts)
            left += [(f"{name} / {key}" if name else str(key), part) for key, part in parts[::-1]]
            continue
        seen += 1
        if len(lines) < MAX_LINES:
            shown = each if isinstance(each, str) else msgspec.json.encode(each).decode()
            lines.append(Fact(_shown(name, MAX_NAME), _shown(shown, MAX_VALUE)))
    if left or uncounted:
        return lines, "many"
    return lines, str(seen - len(lines)) if seen > len(lines) else ""


def _shown(text: str, most: int) -> str:
    return unlinked(one_line(text, most))


def _who(subject: Subject) -> str:
    return "Somebody" if subject.event is None else _name(subject.event.actor)


def _name(actor: Actor) -> str:
    return unlinked(one_line(actor.name or actor.id, MAX_NAME))


def _text(text: str) -> str:
    """Return a text of several lines, safe to show."""
    shown = text if len(text) <= MAX_TEXT else text[:MAX_TEXT].rstrip() + " …"
    return unlinked("\n".join(visible(line.rstrip()) for line in shown.splitlines()).strip())
