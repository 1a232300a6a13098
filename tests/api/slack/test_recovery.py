"""Cards follow the log also if a server ends, or forgets, or a person may not see it any more."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from api.settings import ConfigurationError
from api.slack.card import GRANT, OPEN
from api.slack.channel_file import load_channels
from application.directory import KnownPerson
from domain.directory.state import PersonSource
from tests.api.slack.manifest import scopes
from tests.api.slack.stand_in import SlackStandIn
from tests.api.slack.workspace import TWO, Workspace, connected, on
from tests.api.whole_server import WholeServer
from tests.domain.people import ADAM

HIDDEN = "This request is no longer yours to see."


@pytest.fixture
async def workspace(log_url: str) -> AsyncIterator[Workspace]:
    async with connected(log_url) as workspace:
        yield workspace


async def test_what_happened_while_no_server_told_slack_is_on_the_card_afterwards(
    log_url: str,
) -> None:
    async with SlackStandIn.running(scopes()) as slack:
        async with on(slack, log_url) as before:
            approval, card = await before.asked()
        async with WholeServer.open(log_url) as server:
            await Workspace(server, slack).grant(approval)
        assert GRANT in card.buttons()
        async with on(slack, log_url):
            await slack.until(lambda: set(card.buttons()) == {OPEN})
        assert len(slack.cards()) == 1


async def test_a_card_that_was_not_remembered_follows_the_log_from_its_first_click_on(
    workspace: Workspace,
) -> None:
    await workspace.know("bob", "finance")
    _, card = await workspace.asked(policy=TWO)
    await workspace.card("bob")
    with psycopg.connect(workspace.server.url, autocommit=True) as connection:
        connection.execute("DELETE FROM slack_cards WHERE recipient = 'ann'")
    await workspace.slack.click(workspace.users["ann"], card, GRANT)
    await workspace.slack.until(lambda: "You approved this." in card.said())


async def test_who_leaves_the_group_sees_no_more_of_the_request(workspace: Workspace) -> None:
    _, card = await workspace.asked()
    person = KnownPerson(id="ann", emails=("ann@example.com",), source=PersonSource.ADMIN)
    await workspace.server.directory.record(ADAM, person)
    await workspace.slack.until(lambda: HIDDEN in card.said())
    assert "120" not in card.said()
    assert card.buttons() == {}


async def test_a_card_that_was_deleted_in_slack_is_left_alone(workspace: Workspace) -> None:
    await workspace.know("bob", "finance")
    approval, card = await workspace.asked()
    of_bob = await workspace.card("bob")
    del workspace.slack.messages[card.channel, card.ts]
    await workspace.grant(approval)
    await workspace.slack.until(lambda: set(of_bob.buttons()) == {OPEN})

    def left() -> bool:
        with psycopg.connect(workspace.server.url) as connection:
            rows = connection.execute("SELECT open FROM slack_cards WHERE recipient = 'ann'")
            return rows.fetchall() == [(False,)]

    await workspace.until(left)


async def test_what_happens_later_goes_into_the_thread_of_the_card(workspace: Workspace) -> None:
    """A reminder is due at once, because it is as long before the deadline as the request is."""
    policy = {
        "requirements": [{"groups": ["finance"]}],
        "within": "PT1H",
        "remindBefore": ["PT59M59S"],
    }
    _, card = await workspace.asked(title="Pay", policy=policy)
    [reply] = await workspace.slack.until(lambda: workspace.slack.replies(card))
    assert reply.text.startswith("Pay \u00b7 Your decision is missing. This is due in ")
    assert len(workspace.slack.cards()) == 1


async def test_a_comment_is_in_the_thread_of_those_who_take_part(workspace: Workspace) -> None:
    bob = await workspace.know("bob", "finance")
    approval, _ = await workspace.asked(title="Pay", policy=TWO)
    card = await workspace.card("bob")
    await workspace.slack.click(bob, card, GRANT)
    await workspace.comment(approval, "Which\naccount <!here>?")
    [reply] = await workspace.slack.until(lambda: workspace.slack.replies(card))
    assert reply.blocks[0]["text"]["text"] == "Ann (ann): Which \u21b5 account <!here>?"
    assert reply.text.endswith("account &lt;!here&gt;?")


async def test_a_person_who_is_not_in_slack_is_skipped_and_the_outbox_says_why(
    workspace: Workspace,
) -> None:
    await workspace.know("bob", "finance", in_slack=False)
    await workspace.asked()

    def why() -> str | None:
        with psycopg.connect(workspace.server.url) as connection:
            row = connection.execute(
                "SELECT last_error FROM outbox_messages"
                " WHERE recipient = 'bob' AND channel = 'slack' AND status = 'SKIPPED'"
            ).fetchone()
        return None if row is None else row[0]

    said = await workspace.until(why)
    assert said == "nobody in Slack has an e-mail address of the person"


async def test_a_group_has_one_card_in_its_channel_on_which_each_decides(
    log_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "channels.toml"
    # The policy writes the name with an accent as a character of its own.
    file.write_text('[groups]\n"caf\u00e9" = "C0FINANCE"\n"Caf\u00e9" = "C0OTHER"\n')
    policy = {"requirements": [{"groups": ["cafe\u0301"], "count": 2}]}
    async with connected(log_url, slack_channels=file) as workspace:
        slack = workspace.slack
        await workspace.know("ann", "caf\u00e9")
        approval, _ = await workspace.asked(policy=policy)
        bob = await workspace.know("bob", "caf\u00e9")
        [card] = await slack.until(lambda: [c for c in slack.cards() if c.channel == "C0FINANCE"])
        await slack.click(workspace.users["ann"], card, GRANT)
        await slack.until(lambda: "1 of 2 agreed" in card.said())
        await slack.click(slack.add_user("eve"), card, GRANT)
        assert "Placet knows nobody" in slack.whispers[0][1]
        await slack.click(bob, card, GRANT)
        await slack.until(lambda: set(card.buttons()) == {OPEN})
        assert (await workspace.approval(approval))["status"] == "GRANTED"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[groups", "is not TOML"),
        ('[channels]\nfinance = "C0FINANCE"', "must have one table, [groups]"),
        ('[groups]\nfinance = "#finance"', "is not the id of a channel"),
        ('[groups]\n"" = "C0FINANCE"', "must not be empty"),
        ('[groups]\n"a" = "C0FINANCE"\n" a" = "C0FINANCE"', "is named twice"),
    ],
)
def test_a_file_of_channels_that_is_wrong_is_refused(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "channels.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=why.replace("[", r"\[")):
        load_channels(file)
    with pytest.raises(ConfigurationError, match="can't be read"):
        load_channels(tmp_path / "none.toml")
