"""What a person is told of once a day, as one message."""

from hashlib import sha256

import msgspec

from api.slack.card import OPEN, Card
from api.slack.rich_text import (
    Element,
    bullets,
    escaped,
    header,
    moment,
    one_line,
    plain,
    rich_text,
    section,
    shortened,
    words,
)
from application.notifications.message import Message
from domain.approvals.state import Approval

MOST = 20
MAX_TITLE = 120


def digest_card(message: Message, address: str) -> Card:
    """Return the list of what a person is told of: each request once, with a link."""
    approvals: dict[str, Approval] = {}
    for item in message.items:
        if item.subject is not None:
            approvals[str(item.subject.approval.id)] = item.subject.approval
    items = [_item(approval, address) for approval in list(approvals.values())[:MOST]]
    parts = [bullets(items)]
    if len(approvals) > MOST:
        parts.append(section([words(f"and {len(approvals) - MOST} more", italic=True)]))
    title = "1 request" if len(approvals) == 1 else f"{len(approvals)} requests"
    inbox = {
        "type": "button",
        "action_id": OPEN,
        "text": plain("Open the inbox"),
        "url": f"{address}/inbox",
        "style": "primary",
    }
    blocks = [
        header(f"{title} since yesterday"),
        rich_text(*parts),
        {"type": "actions", "elements": [inbox]},
    ]
    text = escaped(f"{title} since yesterday")
    return Card(text, blocks, sha256(msgspec.json.encode(blocks)).hexdigest())


def _item(approval: Approval, address: str) -> list[Element]:
    title = shortened(one_line(approval.title or approval.key), MAX_TITLE)
    link: Element = {
        "type": "link",
        "url": f"{address}/approvals/{approval.id}",
        "text": title,
    }
    if not approval.pending:
        return [link, words(f", {approval.status.value.lower().replace('_', ' ')}")]
    if approval.current_deadline is None:
        return [link, words(", open")]
    return [link, words(", decide by "), moment(approval.current_deadline)]
