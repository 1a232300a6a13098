"""What is sent: a title, a short text and a link. Nothing of a payload, and no comment.

Titles are written by whoever requests an approval. Chat services make links, mentions and markup of
plain text, so what they look for is taken apart or replaced by what looks like it. Strikethrough
and spoilers would hide a part of a title.
"""

from collections.abc import Sequence

from api.visible_text import title_line, unlinked
from application.notifications.message import Message, MessageKind
from domain.approvals.document import instant_json
from domain.approvals.state import Approval
from domain.execution.state import Execution

MAX_TITLE = 150
MAX_ITEMS = 20
_ZERO_WIDTH_SPACE = "\u200b"
_APART = str.maketrans(
    {
        "@": f"@{_ZERO_WIDTH_SPACE}",
        "<": "\u2039",
        ">": "\u203a",
        "`": "'",
        "[": "(",
        "]": ")",
        "*": "\u2217",
        "~": "\u223c",
        "|": "\u2223",
    }
)

_HEADLINES = {
    MessageKind.OPENED: "Approval needed",
    MessageKind.STAGE_BEGAN: "Approval needed",
    MessageKind.REMINDER: "Approval still needed",
    MessageKind.ESCALATED: "Approval needed, past its deadline",
    MessageKind.DELEGATED: "Approval delegated to you",
    MessageKind.TOO_FEW_PEOPLE: "Too few people can approve",
    MessageKind.CHANGES_REQUESTED: "Changes requested",
    MessageKind.COMMENTED: "New comment",
    MessageKind.REVOKED: "Approval revoked",
}


def headline(kind: MessageKind, approval: Approval) -> str:
    """Return the title of a message about an approval."""
    if kind is MessageKind.RESOLVED:
        what = f"Approval {approval.status.value.lower().replace('_', ' ')}"
    else:
        what = _HEADLINES[kind]
    return f"{what}: {harmless(approval.title or approval.key)}"


def text(execution: Execution, approval: Approval, public_url: str) -> str:
    """Return the text of a message about an approval, with its link."""
    lines = [f"Workflow {harmless(execution.workflow)}, key {harmless(approval.key)}"]
    if approval.pending and approval.current_deadline is not None:
        lines.append(f"Deadline {instant_json(approval.current_deadline)[:16]}Z".replace("T", " "))
    return "\n".join([*lines, link(approval, public_url)])


def digest(items: Sequence[Message], public_url: str) -> tuple[str, str]:
    """Return the title and text of a digest."""
    lines: list[str] = []
    for item in items[:MAX_ITEMS]:
        assert item.subject is not None
        approval = item.subject.approval
        lines += [headline(item.kind, approval), link(approval, public_url)]
    if len(items) > MAX_ITEMS:
        lines.append(f"and {len(items) - MAX_ITEMS} more: {public_url}/")
    return f"{len(items)} news of approvals", "\n".join(lines)


def link(approval: Approval, public_url: str) -> str:
    """Return the address of the approval's page in the console."""
    return f"{public_url}/approvals/{approval.id}"


def harmless(given: str) -> str:
    """Return a text in one short line that no service makes a link, mention or markup of."""
    return unlinked(title_line(given, MAX_TITLE)).translate(_APART)
