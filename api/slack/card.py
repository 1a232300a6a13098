"""The card of an approval: what Slack shows of it, and the buttons to decide.

A card has buttons to decide only if it shows the whole document, because a decision is about all of
it. On a phone a person meets the title first, then who asks until when, then what will be done, who
has to agree, and at the end the buttons.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from api.console.catalogue import DEFAULT, locale_of, translations_of
from api.console.formats import Formats, zone_of
from api.console.views.approval_page import Shown, shown
from api.console.views.reader import Reader
from api.slack.card_parts import (
    decisions,
    due,
    further_terms,
    policy,
    summary,
)
from api.slack.modal import can_ask
from api.slack.payload import MAX_TEXT as MAX_TEXT_OF_BLOCK
from api.slack.payload import DoesNotFitError, payload_blocks
from api.slack.rich_text import (
    MAX_HEADER,
    Block,
    Element,
    escaped,
    header,
    one_line,
    plain,
    quote,
    rich_text,
    section,
    shortened,
    size_of,
    small,
    words,
)
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.identifiers import ApprovalId
from domain.values import Principal

MAX_BLOCKS = 50
MAX_TEXT = 10_000
"""Characters of a whole card. Slack takes somewhat more."""
MAX_NOTIFICATION = 150

GRANT, REJECT, REQUEST_CHANGES, OPEN = (
    "placet-grant",
    "placet-reject",
    "placet-request-changes",
    "placet-open",
)
"""The ids of the buttons."""

NOBODY = Principal(id="placet-slack-channel", name="")
"""Who reads the card of a channel: nobody in particular."""

TOO_LARGE = "This request is too large for Slack. Open it to read it whole and to decide."
STEP_UP = "For this decision you have to sign in again. Open it to decide."
OTHER_FORM = "This request asks questions that Slack can't ask. Open it to decide."
UNSOUND = "What is stored is not what its digest says. Tell an administrator."


class Card(NamedTuple):
    """``text`` is what a notification shows. ``fingerprint`` tells whether the blocks changed."""

    text: str
    blocks: list[Block]
    fingerprint: str


class Decidable(msgspec.Struct, frozen=True, rename={"approval": "a", "digest": "d"}):
    """What a button is about: an approval, and the digest of the document on its card."""

    approval: str
    digest: str

    @property
    def approval_id(self) -> ApprovalId | None:
        """The approval, None if none can have this id."""
        return ApprovalId.parse(self.approval)


def card_of(
    execution: Execution,
    approval: Approval,
    *,
    viewer: Principal | None,
    address: str,
    now: datetime,
) -> Card:
    """Return the card of an approval.

    ``viewer``: whose card it is; None for the card of a channel, on which everybody sees the
    buttons. ``address``: that of the console, without a slash at its end.
    """
    formats = Formats(locale_of(DEFAULT), zone_of(None), now)
    page = shown(reader_of(viewer or NOBODY, formats), execution, approval)
    decidable = approval.pending if viewer is None else page.may_decide
    blocks, obstacle = _blocks(execution, approval, page, may_decide=decidable)
    link = f"{address}/approvals/{approval.id}"
    decides = decidable and obstacle is None
    blocks.append(_actions(approval, link, decides=decides, first=decidable and not decides))
    fingerprint = sha256(msgspec.json.encode(blocks)).hexdigest()
    return Card(_notification(execution, approval, page, formats), blocks, fingerprint)


def hidden_card() -> Card:
    """Return what takes the place of a card that its reader may not see any more."""
    text = "This request is no longer yours to see."
    blocks = [rich_text(section([words(text)]))]
    return Card(text, blocks, sha256(msgspec.json.encode(blocks)).hexdigest())


def reader_of(viewer: Principal, formats: Formats) -> Reader:
    """Return who reads, in English."""
    translations = translations_of(DEFAULT)

    def text(message: str, **values: object) -> str:
        translated: str = translations.gettext(message)
        return translated % values if values else translated

    def plural(one: str, many: str, number: int, **values: object) -> str:
        translated: str = translations.ngettext(one, many, number)
        return translated % {"num": number, **values}

    return Reader(viewer, text, plural, formats.now, formats.exact_span, formats.precise)


def obstacle_of(approval: Approval) -> str | None:
    """Return why nobody can decide in Slack whatever the size of the document, None if they can."""
    if approval.policy.asks_for_login:
        return STEP_UP
    if approval.form is not None and not can_ask(approval.form):
        return OTHER_FORM
    return None


def _blocks(
    execution: Execution, approval: Approval, page: Shown, *, may_decide: bool
) -> tuple[list[Block], str | None]:
    """Return the blocks without the buttons, and why there are none to decide."""
    title = approval.title or approval.key
    first = [header(title)]
    if len(one_line(title)) > MAX_HEADER:
        first.append(rich_text(section([words(one_line(title))])))
    first.append(summary(execution, approval, page))
    if page.digest != approval.digest:
        return [*first, _note(UNSOUND)], UNSOUND
    obstacle = obstacle_of(approval)
    try:
        blocks = [*first, *_document(execution, approval, page)]
        _check_size(blocks)
    except DoesNotFitError:
        obstacle, blocks = TOO_LARGE, first
    if obstacle is not None and may_decide:
        blocks.append(_note(obstacle))
    return blocks, obstacle


def _check_size(blocks: list[Block]) -> None:
    # One block for the note, and one for the buttons.
    if len(blocks) > MAX_BLOCKS - 2 or sum(map(size_of, blocks)) > MAX_TEXT:
        raise DoesNotFitError
    if max(map(size_of, blocks)) > MAX_TEXT_OF_BLOCK:
        raise DoesNotFitError


def _document(execution: Execution, approval: Approval, page: Shown) -> list[Block]:
    """Return the blocks for everything else that is in the document. Raises DoesNotFitError."""
    blocks: list[Block] = []
    if approval.description:
        if len(approval.description) > MAX_TEXT_OF_BLOCK:
            raise DoesNotFitError
        blocks.append(rich_text(quote(approval.description)))
    blocks += [{"type": "divider"}, *payload_blocks(approval.payload), {"type": "divider"}]
    blocks += [policy(approval, page), *filter(None, [decisions(page)])]
    terms = further_terms(page.further)
    terms.append(f"{one_line(approval.key)}, round {approval.round}, execution {execution.id}")
    return [*blocks, small("\n".join(terms))]


def _note(text: str) -> Block:
    return rich_text(section([words(text, italic=True)]))


def _actions(approval: Approval, link: str, *, decides: bool, first: bool) -> Block:
    """Return the buttons. ``first``: the link is what to press."""
    opens = {**_button(OPEN, "Open"), "url": link}
    if first:
        opens["style"] = "primary"
    if not decides:
        return {"type": "actions", "elements": [opens]}
    value = msgspec.json.encode(Decidable(str(approval.id), approval.digest)).decode()
    grant = _button(GRANT, "Approve", value, "primary")
    if approval.form is None and not approval.policy.comment_required:
        title = shortened(one_line(approval.title or approval.key), MAX_HEADER)
        grant["confirm"] = {
            "title": plain("Approve this?"),
            "text": plain(title),
            "confirm": plain("Approve"),
            "deny": plain("Go back"),
            "style": "primary",
        }
    return {
        "type": "actions",
        "elements": [
            grant,
            _button(REJECT, "Reject", value, "danger"),
            _button(REQUEST_CHANGES, "Request changes", value),
            opens,
        ],
    }


def _button(action: str, text: str, value: str = "", style: str = "") -> Element:
    button: dict[str, Any] = {"type": "button", "action_id": action, "text": plain(text)}
    return button | ({"value": value} if value else {}) | ({"style": style} if style else {})


def _notification(execution: Execution, approval: Approval, page: Shown, formats: Formats) -> str:
    """Return the text of a notification. A phone shows little of it, so the title comes first."""
    title = shortened(approval.title or approval.key, MAX_NOTIFICATION)
    if not approval.pending:
        return escaped(f"{page.word}: {title}")
    name = execution.initiator.name or execution.initiator.id
    said = [title, f"{name} asks for approval", due(approval, formats)]
    return escaped(" \u00b7 ".join(filter(None, said)))
