"""What a person is told of once a day in Slack."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from msgspec.structs import replace

from api.slack.card import OPEN
from api.slack.digest import MOST, digest_card
from application.directory import KnownPerson
from application.notifications.message import Message, MessageKind, Subject
from domain.directory.state import PersonSource
from tests.api.slack.block_rules import check_message
from tests.api.slack.test_card import ADDRESS, asked
from tests.domain import ask
from tests.domain.scenario import Given

ANN = KnownPerson(id="ann", emails=("ann@example.com",), source=PersonSource.ADMIN)


def message(kind: MessageKind, history: Given | None = None, **more: Any) -> Message:
    subject = None
    if history is not None:
        subject = Subject(ANN, history.state, history.approval(1))
    return Message(
        id=uuid4(),
        kind=kind,
        recipient="ann",
        channel="slack",
        execution_id=None if history is None else history.state.id,
        ordinal=1,
        version=1,
        position=1,
        created_at=datetime(2026, 3, 2, tzinfo=UTC),
        tries=1,
        subject=subject,
        **more,
    )


def links(blocks: Any) -> list[tuple[str, str]]:
    """Return the texts and addresses of all links."""
    if isinstance(blocks, list):
        return [link for part in blocks for link in links(part)]
    if isinstance(blocks, dict):
        own = [(blocks["text"], blocks["url"])] if blocks.get("type") == "link" else []
        return own + [link for part in blocks.values() for link in links(part)]
    return []


def test_each_request_is_named_once_with_a_link_to_it() -> None:
    history = asked(title="Pay <!channel>\nnow")
    items = (message(MessageKind.OPENED, history), message(MessageKind.REMINDER, history))
    card = digest_card(message(MessageKind.DIGEST, items=items), ADDRESS)
    check_message(card.blocks)
    assert card.text == "1 request since yesterday"
    address = f"{ADDRESS}/approvals/{history.approval(1).id}"
    assert links(card.blocks) == [("Pay <!channel> \u21b5 now", address)]
    [inbox] = card.blocks[-1]["elements"]
    assert (inbox["action_id"], inbox["url"]) == (OPEN, f"{ADDRESS}/inbox")


def test_what_became_of_a_request_is_said() -> None:
    still, done = asked(), asked().when(ask.grant("ann"))
    items = (message(MessageKind.OPENED, still), message(MessageKind.RESOLVED, done))
    for item, said in zip(items, (", open", ", granted"), strict=True):
        card = digest_card(message(MessageKind.DIGEST, items=(item,)), ADDRESS)
        check_message(card.blocks)
        assert f"'{said}'" in str(card.blocks)


def test_a_long_digest_names_some_and_counts_the_others() -> None:
    first = asked()
    approvals = [_with_id(first, number) for number in range(MOST + 5)]
    card = digest_card(message(MessageKind.DIGEST, items=tuple(approvals)), ADDRESS)
    check_message(card.blocks)
    assert len(links(card.blocks)) == MOST
    assert "and 5 more" in str(card.blocks)
    assert card.text == f"{MOST + 5} requests since yesterday"


def _with_id(history: Given, number: int) -> Message:
    approval = history.approval(1)
    other = replace(approval, id=approval.id._replace(execution_id=UUID(int=number)))
    return replace(message(MessageKind.OPENED, history), subject=Subject(ANN, history.state, other))
