"""What a card shows, and when it has buttons to decide."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from api.slack.card import (
    GRANT,
    OPEN,
    OTHER_FORM,
    REJECT,
    REQUEST_CHANGES,
    STEP_UP,
    TOO_LARGE,
    Card,
    Decidable,
    card_of,
)
from api.visible_text import UNTITLED
from domain.values import Principal
from tests.api.slack.block_rules import check_message
from tests.domain import ask
from tests.domain.people import ANN, BOB, CLEO
from tests.domain.scenario import Given, given

ADDRESS = "https://placet.example"
DECIDING = [GRANT, REJECT, REQUEST_CHANGES]


def asked(**request: Any) -> Given:
    """Ask for approval, of one person of finance by default."""
    started = given().when(ask.start(on_behalf_of="employee")).when(ask.claim())
    return started.when(ask.request(**request))


def card(history: Given, viewer: Principal | None = ANN) -> Card:
    execution = history.state
    made = card_of(
        execution, execution.approvals[1], viewer=viewer, address=ADDRESS, now=history.now
    )
    check_message(made.blocks)
    return made


def buttons(made: Card) -> dict[str, Any]:
    """Return the buttons by their ids. They are at the end of the card."""
    [actions] = [block for block in made.blocks if block["type"] == "actions"]
    assert made.blocks[-1] is actions
    return {button["action_id"]: button for button in actions["elements"]}


def texts(part: Any) -> str:
    """Return all text of blocks, in order. A date is its format."""
    if isinstance(part, list):
        return "".join(map(texts, part))
    if part["type"] == "date":
        return str(part["fallback"])
    own = part.get("text", "")
    end = "\n" if part["type"] in {"rich_text_section", "rich_text_quote"} else ""
    said = own if isinstance(own, str) else texts(own)
    return said + texts(part.get("elements", [])) + end


def test_a_person_meets_the_title_then_who_asks_until_when_then_the_payload_then_the_buttons() -> (
    None
):
    history = asked(
        description="The yearly meeting",
        policy=ask.policy(ask.needs("finance", count=2), within=timedelta(hours=2)),
    )
    made = card(history)
    assert made.blocks[0]["text"]["text"] == "Trip to Eindhoven"
    said = texts(made.blocks)
    places = [
        said.index(part)
        for part in (
            "Olivia (olivia) asks for approval, on behalf of employee",
            "Decide by ",
            "The yearly meeting",
            "cost: 120.5",
            "2 people of finance: 0 of 2 agreed",
        )
    ]
    assert places == sorted(places)
    assert list(buttons(made)) == [*DECIDING, OPEN]
    assert made.text == ("Trip to Eindhoven \u00b7 Olivia asks for approval \u00b7 due in 2 hours")


def test_a_button_names_the_approval_and_the_digest_of_what_is_shown() -> None:
    history = asked()
    approval = history.approval(1)
    for name in DECIDING:
        value = buttons(card(history))[name]["value"]
        decidable = msgspec.json.decode(value, type=Decidable)
        assert (decidable.approval_id, decidable.digest) == (approval.id, approval.digest)
    assert buttons(card(history))[OPEN]["url"] == f"{ADDRESS}/approvals/{approval.id}"


def test_every_value_of_a_payload_is_shown_with_its_name() -> None:
    payload = {
        "to": {"name": "Acme", "address": {"city": "Utrecht", "lines": ["1", 2, None, True]}},
        "note": "first\nsecond",
        "empty": {},
        "": "no name",
        "looks like a number": "42",
    }
    said = texts(card(asked(payload=payload)).blocks)
    for part in (
        *("to: ", "name: Acme", "city: Utrecht", '1: "1"', "2: 2", "3: null", "4: true"),
        *("note: \nfirst\nsecond\n", "empty: {}", '"": no name', 'looks like a number: "42"'),
    ):
        assert part in said


def test_every_term_of_the_policy_is_said() -> None:
    terms = ask.policy(
        ask.needs("finance", stage=1),
        ask.needs("legal", users=("cleo",), stage=2),
        rejections=2,
        allow_initiator=True,
        amendable=True,
        comment_required=True,
        valid_for=timedelta(days=2),
        within=timedelta(hours=3),
        remind_before=(timedelta(hours=1),),
    )
    said = texts(card(asked(policy=terms)).blocks)
    for part in (
        *("Stage 1", "a member of finance", "Stage 2 (later)", "a member of legal or cleo"),
        *("2 people have to refuse to reject it.", "Whoever asked may decide too."),
        *("Each decision needs a comment.", "Who approves may change the payload first."),
        *("Time to use it: 2 days", "Reminders before the deadline: 1 hour"),
        *("Time to decide: 3 hours", "then it expires", "permit, round 1, execution "),
    ):
        assert part in said


def test_the_card_follows_what_is_decided() -> None:
    history = asked(policy=ask.policy(ask.needs("finance", count=2)))
    before = card(history, BOB)
    history.when(ask.grant("ann", comment="fine\nby me"))
    after = card(history, BOB)
    assert after.fingerprint != before.fingerprint
    said = texts(after.blocks)
    assert "2 people of finance: 1 of 2 agreed" in said
    assert "Ann (ann) approved " in said
    assert "\u201cfine \u21b5 by me\u201d" in said
    assert list(buttons(after)) == [*DECIDING, OPEN]


def test_who_has_decided_sees_that_and_no_buttons_to_decide() -> None:
    history = asked(policy=ask.policy(ask.needs("finance", count=2))).when(ask.grant("ann"))
    assert "You approved this." in texts(card(history, ANN).blocks)
    assert list(buttons(card(history, ANN))) == [OPEN]


@pytest.mark.parametrize(
    ("last", "word"),
    [
        (ask.grant("ann"), "Approved"),
        (ask.reject("ann"), "Rejected"),
        (ask.ask_changes("ann"), "Changes requested"),
        (ask.withdraw(), "Withdrawn"),
    ],
)
def test_what_is_resolved_says_so_first_and_has_only_the_link(last: ask.Ask, word: str) -> None:
    made = card(asked().when(last), BOB)
    assert made.text == f"{word}: Trip to Eindhoven"
    assert texts(made.blocks[1]).startswith(word)
    assert list(buttons(made)) == [OPEN]


def test_an_amended_payload_is_shown_with_its_own_digest() -> None:
    history = asked(policy=ask.policy(ask.needs("finance", count=2), amendable=True))
    before = buttons(card(history, BOB))[GRANT]["value"]
    history.when(ask.grant("ann", amended_payload=ask.AMENDED))
    made = card(history, BOB)
    assert "cost: 90" in texts(made.blocks)
    assert buttons(made)[GRANT]["value"] != before
    assert history.approval(1).digest in buttons(made)[GRANT]["value"]


def test_who_may_not_decide_has_no_buttons_to_decide() -> None:
    history = asked(policy=ask.policy(ask.needs("finance"), ask.needs("legal", stage=2)))
    assert list(buttons(card(history, CLEO))) == [OPEN]
    assert GRANT in buttons(card(history, ANN))
    assert GRANT in buttons(card(history, None)), "the card of a channel is for everybody"


@pytest.mark.parametrize(
    "large",
    [
        {"payload": {"text": "a secret word " * 400}},
        {"payload": {f"key {number}": number for number in range(300)}},
        {"payload": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": "deep"}}}}}}}}},
        {"description": "a secret word " * 400},
        {"policy": ask.policy(ask.needs(*(f"group {i} {'x' * 180}" for i in range(90))))},
    ],
    ids=["long text", "many values", "deep", "long description", "many groups"],
)
def test_a_document_that_does_not_fit_leaves_only_the_link(large: dict[str, Any]) -> None:
    made = card(asked(**large), None)
    assert list(buttons(made)) == [OPEN]
    assert buttons(made)[OPEN]["style"] == "primary"
    assert TOO_LARGE in texts(made.blocks)
    assert "secret" not in json.dumps(made.blocks), "a part of a document misleads"


def test_a_form_that_slack_can_not_ask_leaves_only_the_link() -> None:
    form = {"type": "object", "properties": {"lines": {"type": "array", "items": {}}}}
    made = card(asked(form=form))
    assert list(buttons(made)) == [OPEN]
    assert OTHER_FORM in texts(made.blocks)
    assert "cost: 120.5" in texts(made.blocks)


@pytest.mark.parametrize(
    "asks", [{"acr_values": ("phr",)}, {"max_auth_age": timedelta(minutes=5)}], ids=str
)
def test_a_policy_that_asks_for_a_login_leaves_only_the_link(asks: dict[str, Any]) -> None:
    made = card(asked(policy=ask.policy(**asks)))
    assert list(buttons(made)) == [OPEN]
    assert STEP_UP in texts(made.blocks)
    assert "cost: 120.5" in texts(made.blocks)


def test_nothing_that_strangers_write_is_markup_or_hides_what_it_is() -> None:
    evil = "*Pay* <!channel> <https://evil.example|placet.example> @here :tada:\n\u202egnp.exe"
    history = asked(
        title=f"{evil} & more", description=evil, payload={evil: evil, "list": [evil, evil]}
    ).when(ask.comment(evil))
    made = card(history)
    assert "mrkdwn" not in json.dumps(made.blocks)
    assert {"link", "user", "usergroup", "broadcast", "emoji", "channel"}.isdisjoint(
        _types(made.blocks)
    )
    assert "\u202e" not in json.dumps(made.blocks, ensure_ascii=False) + made.text
    assert "[U+202E]gnp.exe" in texts(made.blocks)
    assert "\n" not in made.blocks[0]["text"]["text"]
    assert " \u21b5 " in made.blocks[0]["text"]["text"]
    assert "<" not in made.text
    assert "&lt;!channel&gt;" in made.text
    [link] = [b["url"] for b in buttons(made).values() if "url" in b]
    assert link.startswith(f"{ADDRESS}/approvals/")


def _types(part: Any) -> set[str]:
    if isinstance(part, list):
        return set().union(*map(_types, part))
    if isinstance(part, dict):
        return {str(part.get("type"))}.union(*map(_types, part.values()))
    return set()


def test_a_title_in_which_there_is_nothing_to_see_says_so() -> None:
    assert card(asked(title="\u200d\u2800")).blocks[0]["text"]["text"] == UNTITLED


def test_a_long_title_is_shown_whole_below_its_beginning() -> None:
    title = "word " * 90
    made = card(asked(title=title))
    assert made.blocks[0]["text"]["text"].endswith("\u2026")
    assert texts(made.blocks[1]).strip() == title.strip()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=2_000),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(), inner, max_size=12),
    max_leaves=40,
)


@examples(payload=VALUES, title=st.text(min_size=1, max_size=500), description=st.text())
def test_slack_takes_every_card(payload: Any, title: str, description: str) -> None:
    history = asked()
    asking = given().when(ask.start()).when(ask.claim())
    asking = asking.when(ask.request(title=title, payload=payload, description=description))
    if asking.refusal is not None:  # A text that is no Unicode is refused.
        return
    made = card(asking)
    assert list(buttons(made)) in ([*DECIDING, OPEN], [OPEN])
    assert card(history).text
