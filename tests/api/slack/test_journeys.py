"""Requests that are decided in Slack, from the request to the card that says how it ended.

The server, the database and the outbox are real. Slack is a stand-in, see slack_api.py.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.slack.card import GRANT, OPEN, REJECT, REQUEST_CHANGES, TOO_LARGE
from api.slack.deciding import NOT_THERE, STALE
from api.slack.interactions import ANSWER_SECONDS, BEING_RECORDED, INTERACTIONS, RECORDED
from application.directory import KnownPerson
from domain.directory.commands import SetSubstitute
from domain.directory.state import PersonSource
from domain.values import Role
from tests.api.slack.slack_api import WAIT, Fault, Message
from tests.api.slack.workspace import ADDRESS, TWO, Workspace, connected
from tests.domain.people import ADAM

DECIDING = {GRANT, REJECT, REQUEST_CHANGES}
FORM = {
    "type": "object",
    "required": ["account"],
    "properties": {"account": {"type": "string", "pattern": "^[0-9]+$"}},
}


@pytest.fixture
async def workspace(log_url: str) -> AsyncIterator[Workspace]:
    async with connected(log_url) as workspace:
        yield workspace


def decided(card: Message) -> bool:
    return not DECIDING & set(card.buttons())


async def test_a_request_is_approved_on_its_card_and_the_execution_resumes(
    workspace: Workspace,
) -> None:
    approval, card = await workspace.asked(title="Pay the invoice")
    assert set(card.buttons()) > DECIDING
    assert card.text.startswith("Pay the invoice \u00b7 Olivia asks for approval")
    assert card.buttons()[OPEN]["url"] == f"{ADDRESS}/approvals/{approval['id']}"

    await workspace.slack.click(workspace.users["ann"], card, GRANT)

    await workspace.slack.until(lambda: decided(card))
    assert "Approved" in card.said()
    assert await workspace.state(approval) == "RESUMED"
    [decision] = (await workspace.approval(approval))["decisions"]
    assert decision["by"]["id"] == "ann"
    assert workspace.slack.whispers == []
    assert len(workspace.slack.cards()) == 1


async def test_what_is_decided_elsewhere_takes_the_buttons_away(workspace: Workspace) -> None:
    approval, card = await workspace.asked()
    await workspace.grant(approval)
    await workspace.slack.until(lambda: decided(card))
    assert set(card.buttons()) == {OPEN}


async def test_each_decision_moves_the_progress_on_every_card(workspace: Workspace) -> None:
    await workspace.know("bob", "finance")
    _, card = await workspace.asked(policy=TWO)
    of_bob = await workspace.card("bob")
    assert "0 of 2 agreed" in of_bob.said()

    await workspace.slack.click(workspace.users["ann"], card, GRANT)

    await workspace.slack.until(lambda: "1 of 2 agreed" in of_bob.said())
    assert set(of_bob.buttons()) > DECIDING
    await workspace.slack.until(lambda: "You approved this." in card.said())
    assert decided(card)


async def test_a_rejection_gives_its_reason_in_a_window(workspace: Workspace) -> None:
    approval, card = await workspace.asked()
    await workspace.slack.click(workspace.users["ann"], card, REJECT)
    window = await workspace.slack.window(workspace.users["ann"])
    await workspace.slack.submit(window, why_do_you_reject_it="Too dear")
    assert not window.open
    await workspace.slack.until(lambda: "Too dear" in card.said())
    found = await workspace.approval(approval)
    assert (found["status"], found["decisions"][0]["comment"]) == ("REJECTED", "Too dear")


async def test_changes_are_requested_in_a_window(workspace: Workspace) -> None:
    approval, card = await workspace.asked()
    await workspace.slack.click(workspace.users["ann"], card, REQUEST_CHANGES)
    window = await workspace.slack.window(workspace.users["ann"])
    await workspace.slack.submit(window, what_has_to_change="Take the train")
    await workspace.slack.until(lambda: decided(card))
    assert (await workspace.approval(approval))["status"] == "CHANGES_REQUESTED"


async def test_a_form_is_answered_in_a_window_that_says_what_is_wrong(workspace: Workspace) -> None:
    approval, card = await workspace.asked(form=FORM)
    await workspace.slack.click(workspace.users["ann"], card, GRANT)
    window = await workspace.slack.window(workspace.users["ann"])

    await workspace.slack.submit(window, account="mine")
    assert window.errors == {"answer-0": "It must match the pattern ^[0-9]+$."}

    await workspace.slack.submit(window, account="4711", comment="Checked")
    assert not window.open
    [decision] = (await workspace.approval(approval))["decisions"]
    assert (decision["answers"], decision["comment"]) == ({"account": "4711"}, "Checked")


async def test_a_click_that_slack_sends_again_decides_once(workspace: Workspace) -> None:
    approval, card = await workspace.asked(policy=TWO)
    payload = await workspace.slack.click(workspace.users["ann"], card, GRANT)
    await workspace.slack.send(payload, retry_attempt=1, retry_reason="timeout")
    assert len((await workspace.approval(approval))["decisions"]) == 1
    assert workspace.slack.whispers == []


async def test_a_click_that_comes_again_after_it_was_taken_back_does_not_decide(
    workspace: Workspace,
) -> None:
    approval, card = await workspace.asked(policy=TWO)
    payload = await workspace.slack.click(workspace.users["ann"], card, GRANT)
    await workspace.take_back(approval)
    await workspace.slack.until(lambda: "and took it back" in card.said())
    await workspace.slack.send(payload)
    assert len((await workspace.approval(approval))["decisions"]) == 1
    # A new click is a new decision.
    await workspace.slack.click(workspace.users["ann"], card, GRANT)
    assert len((await workspace.approval(approval))["decisions"]) == 2


async def test_a_window_that_slack_sends_again_decides_once(workspace: Workspace) -> None:
    approval, card = await workspace.asked()
    await workspace.slack.click(workspace.users["ann"], card, REJECT)
    window = await workspace.slack.window(workspace.users["ann"])
    [block] = [b for b in window.view["blocks"] if b["type"] == "input"]
    values = {block["block_id"]: {"input": {"value": "No"}}}
    payload = workspace.slack.submit_payload(window, values)
    assert await workspace.slack.send(payload) is None
    assert await workspace.slack.send(payload) is None
    assert len((await workspace.approval(approval))["decisions"]) == 1


async def test_a_card_of_before_an_amendment_decides_nothing_and_is_shown_anew(
    workspace: Workspace,
) -> None:
    bob = await workspace.know("bob", "finance")
    approval, _ = await workspace.asked(payload={"euros": 120}, policy={**TWO, "amendable": True})
    card = await workspace.card("bob")
    stale = workspace.slack.click_payload(bob, card, GRANT)

    await workspace.grant(approval, amendedPayload={"euros": 90})
    await workspace.slack.until(lambda: "90" in card.said())
    await workspace.slack.send(stale)

    assert workspace.slack.whispers == [(bob, STALE)]
    [decision] = (await workspace.approval(approval))["decisions"]
    assert decision["by"]["id"] == "ann"
    await workspace.slack.click(bob, card, GRANT)
    assert len((await workspace.approval(approval))["decisions"]) == 2


async def test_strangers_are_told_privately_why_they_decide_nothing(workspace: Workspace) -> None:
    approval, card = await workspace.asked()
    slack = workspace.slack
    await workspace.know("gus", "gardeners")
    await workspace.know("twin", "finance", email="twins@example.com")
    await workspace.know("other", "finance", email="Twins@Example.com", in_slack=False)
    unknown = slack.add_user("unknown")
    cases = {
        unknown: "Placet knows nobody with your e-mail address unknown@example.com",
        workspace.users["gus"]: NOT_THERE,
        workspace.users["twin"]: "2 people in Placet have your e-mail address",
        slack.add_user("odd", "ann@example.com", is_email_confirmed=False): "is not confirmed",
        slack.add_user("app", "ann@example.com", is_bot=True): "Apps can't decide",
        slack.add_user("old", "ann@example.com", deleted=True): "is deactivated",
        slack.add_user("guest", "ann@example.com", is_restricted=True): "Only members",
        slack.add_user("visit", "ann@example.com", is_ultra_restricted=True): "Only members",
        slack.add_user("away", "ann@example.com", team_id="T0OTHER"): "Only members",
        slack.add_user("mute", profile={}): "does not tell Placet your e-mail address",
    }
    for user, why in cases.items():
        slack.whispers.clear()
        await slack.click(user, card, GRANT)
        [(told, words)] = slack.whispers
        assert told == user
        assert why in words
        # Nor do they get a window in which to write a reason.
        await slack.click(user, card, REJECT)
        assert slack.windows == []
    assert (await workspace.approval(approval))["decisions"] == []


async def test_a_deactivated_person_decides_nothing(workspace: Workspace) -> None:
    approval, card = await workspace.asked()
    await workspace.server.directory.deactivate(ADAM, "ann")
    await workspace.slack.click(workspace.users["ann"], card, GRANT)
    [(_, words)] = workspace.slack.whispers
    assert "Placet knows nobody" in words
    assert (await workspace.approval(approval))["status"] == "PENDING"


async def test_a_person_with_two_addresses_decides_by_the_one_that_slack_has(
    workspace: Workspace,
) -> None:
    await workspace.know("bob", "finance", in_slack=False)
    person = KnownPerson(
        id="bob",
        emails=("bob@example.com", "Bobby@Example.com"),
        groups=frozenset({"finance"}),
        roles=frozenset({Role.APPROVER}),
        source=PersonSource.ADMIN,
    )
    await workspace.server.directory.record(ADAM, person)
    bobby = workspace.slack.add_user("bobby", "bobby@example.com")
    approval = await workspace.ask()
    await workspace.slack.click(bobby, await workspace.slack.card(bobby), GRANT)
    [decision] = (await workspace.approval(approval))["decisions"]
    assert decision["by"]["id"] == "bob"


async def test_who_has_an_address_of_two_people_gets_no_card(workspace: Workspace) -> None:
    await workspace.know("twin", "finance", email="twins@example.com")
    await workspace.know("other", "finance", email="TWINS@example.com", in_slack=False)
    _, card = await workspace.asked()
    assert workspace.slack.cards() == [card]


async def test_a_request_that_is_too_large_has_only_the_link(workspace: Workspace) -> None:
    _, card = await workspace.asked(payload={"text": "secret " * 1_000})
    assert set(card.buttons()) == {OPEN}
    assert TOO_LARGE in card.said()
    assert "secret" not in card.said()


async def test_hostile_texts_reach_slack_as_plain_texts(workspace: Workspace) -> None:
    evil = "*a* <!channel> <https://evil.example|placet.example> @here\n\u202ebad"
    _, card = await workspace.asked(title=evil, description=evil, payload={evil: [evil]})
    assert "mrkdwn" not in card.said()
    assert "\u202e" not in card.said() + card.text
    await workspace.slack.click(workspace.users["ann"], card, REJECT)
    window = await workspace.slack.window(workspace.users["ann"])
    assert "\u202e" not in window.said()


async def test_a_connection_that_breaks_comes_again_with_the_click_that_was_not_answered(
    workspace: Workspace,
) -> None:
    approval, card = await workspace.asked(policy=TWO)
    slack = workspace.slack
    await slack.until(lambda: slack.connected)
    before = slack.connections
    payload = slack.click_payload(workspace.users["ann"], card, GRANT)
    slack.faults["users.info"] = [Fault(seconds=0.2)]
    unanswered = asyncio.create_task(slack.send(payload))
    await slack.until(lambda: "users.info" in slack.calls)
    await slack.drop_sockets()
    unanswered.cancel()

    await slack.until(lambda: slack.connections > before and slack.connected)
    await slack.send(payload, retry_attempt=1)

    await slack.until(lambda: "1 of 2 agreed" in card.said())
    assert len((await workspace.approval(approval))["decisions"]) == 1
    assert slack.whispers == []


async def test_a_connection_that_slack_refreshes_is_replaced_at_once(workspace: Workspace) -> None:
    _, card = await workspace.asked()
    slack = workspace.slack
    await slack.until(lambda: slack.connected)
    before = slack.connections
    await slack.ask_to_reconnect()
    await slack.until(lambda: slack.connections == before + 1 and slack.connected)
    await slack.click(workspace.users["ann"], card, GRANT)
    await slack.until(lambda: decided(card))


async def test_a_card_that_slack_did_not_take_is_changed_later(workspace: Workspace) -> None:
    _, card = await workspace.asked()
    workspace.slack.faults["chat.update"] = [
        Fault(error="internal_error", status=503),
        Fault(error="ratelimited", status=429, retry_after=1),
    ]
    await workspace.slack.click(workspace.users["ann"], card, GRANT)
    await workspace.slack.until(lambda: decided(card))
    assert workspace.slack.faults["chat.update"] == []


async def test_a_card_that_slack_did_not_take_is_posted_later(workspace: Workspace) -> None:
    workspace.slack.faults["chat.postMessage"] = [Fault(error="internal_error", status=503)]
    await workspace.asked()
    assert len(workspace.slack.cards()) == 1


async def test_slack_is_answered_in_time_also_if_its_own_api_is_slow(workspace: Workspace) -> None:
    approval, card = await workspace.asked()
    await workspace.slack.click(workspace.users["ann"], card, REJECT)
    window = await workspace.slack.window(workspace.users["ann"])
    workspace.slack.faults["users.info"] = [Fault(seconds=ANSWER_SECONDS + 0.2)]
    await workspace.slack.submit(window, why_do_you_reject_it="No")
    assert workspace.slack.late == 0
    assert BEING_RECORDED in window.said()
    await workspace.slack.until(lambda: RECORDED in window.said())
    assert (await workspace.approval(approval))["status"] == "REJECTED"


async def test_a_delegate_gets_a_card_and_decides_on_it(workspace: Workspace) -> None:
    cleo = await workspace.know("cleo", "legal")
    approval, of_ann = await workspace.asked()
    await workspace.delegate(approval, "cleo")
    card = await workspace.card("cleo")
    await workspace.slack.until(lambda: decided(of_ann))
    await workspace.slack.until(lambda: workspace.slack.replies(card))
    await workspace.slack.click(cleo, card, GRANT)
    [decision] = (await workspace.approval(approval))["decisions"]
    assert decision["by"]["id"] == "cleo"


async def test_a_substitute_decides_on_a_card_that_was_not_theirs_before(
    workspace: Workspace,
) -> None:
    await workspace.know("bob", "finance")
    cleo = await workspace.know("cleo", "legal")
    approval, card = await workspace.asked(policy=TWO)
    click = workspace.slack.click_payload(cleo, card, GRANT)
    await workspace.slack.send(click)
    assert workspace.slack.whispers == [(cleo, NOT_THERE)]

    now = datetime.now(UTC)
    absence = SetSubstitute(
        by=ADAM,
        person="ann",
        substitute="cleo",
        starts_at=now - timedelta(minutes=1),
        ends_at=now + timedelta(hours=1),
    )
    await workspace.server.directory.send(absence)

    async def found() -> bool:
        await workspace.slack.click(cleo, card, GRANT)
        return bool((await workspace.approval(approval))["decisions"])

    async with asyncio.timeout(WAIT):
        while not await found():
            await asyncio.sleep(0.1)
    [decision] = (await workspace.approval(approval))["decisions"]
    assert decision["by"]["id"] == "cleo"


async def test_two_clicks_at_once_are_one_decision(workspace: Workspace) -> None:
    approval, card = await workspace.asked(policy=TWO)
    user = workspace.users["ann"]
    before = _handled()
    clicks: Any = [workspace.slack.click(user, card, GRANT) for _ in range(5)]
    await asyncio.gather(*clicks)
    # On a busy machine a click is answered before it has been carried out.
    await workspace.until(lambda: _handled() == before + 5)
    assert len((await workspace.approval(approval))["decisions"]) == 1


def _handled() -> float:
    """Return how many requests of users have ended, whatever came of them."""
    samples = (sample for metric in INTERACTIONS.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name.endswith("_total"))
