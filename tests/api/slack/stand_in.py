"""A stand-in for Slack on 127.0.0.1, with people who click."""

import asyncio
from typing import Any

from tests.api.slack.block_rules import check_view
from tests.api.slack.slack_api import TEAM, Message, SlackApi, Window, direct

ACK_SECONDS = 3.0


class SlackStandIn(SlackApi):
    """One workspace with one app. Use it as ``async with SlackStandIn.running()``."""

    def add_user(self, name: str, email: str = "", **other: Any) -> str:
        """Add a user, by default a confirmed member. Returns the id."""
        user_id = f"U0{name.upper()}"
        self.users[user_id] = {
            "id": user_id,
            "team_id": TEAM,
            "deleted": False,
            "is_bot": False,
            "is_restricted": False,
            "is_ultra_restricted": False,
            "is_email_confirmed": True,
            "profile": {"email": email or f"{name}@example.com"},
            **other,
        }
        return user_id

    def cards(self, user: str | None = None) -> list[Message]:
        """Return the cards, or those to one user, in the order in which they were posted."""
        return [
            message
            for message in self.messages.values()
            if message.thread_ts is None and (user is None or message.channel == direct(user))
        ]

    def replies(self, card: Message) -> list[Message]:
        """Return what was posted into the thread of a card."""
        return [m for m in self.messages.values() if m.thread_ts == card.ts]

    async def card(self, user: str) -> Message:
        """Wait for the first card of a user."""
        found: list[Message] = await self.until(lambda: self.cards(user))
        return found[0]

    async def click(self, user: str, card: Message, action: str) -> dict[str, Any]:
        """Let a user click a button that a card has now. Returns the payload."""
        payload = self.click_payload(user, card, action)
        await self.send(payload)
        return payload

    def click_payload(self, user: str, card: Message, action: str) -> dict[str, Any]:
        """Return what Slack sends for a click."""
        button = card.buttons()[action]
        return {
            "type": "block_actions",
            "user": {"id": user, "team_id": self.users[user]["team_id"]},
            "team": {"id": TEAM},
            "trigger_id": self.trigger(user),
            "container": {
                "type": "message",
                "message_ts": card.ts,
                "channel_id": card.channel,
                "is_ephemeral": False,
            },
            "channel": {"id": card.channel},
            "actions": [
                {
                    "type": "button",
                    "action_id": action,
                    "value": button.get("value", ""),
                    "action_ts": f"1700000000.{next(self._numbers):06}",
                }
            ],
        }

    def trigger(self, user: str) -> str:
        """Return a trigger, with which a window can be opened once within three seconds."""
        trigger = f"trigger-{next(self._numbers)}"
        self._triggers[trigger] = user, asyncio.get_running_loop().time()
        return trigger

    async def window(self, user: str) -> Window:
        """Wait for the last window of a user that is open."""
        found: list[Window] = await self.until(
            lambda: [w for w in self.windows if w.user == user and w.open]
        )
        return found[-1]

    def submit_payload(self, window: Window, values: dict[str, Any]) -> dict[str, Any]:
        """Return what Slack sends for a window that is filled in."""
        user = self.users[window.user]
        return {
            "type": "view_submission",
            "user": {"id": window.user, "team_id": user["team_id"]},
            "team": {"id": TEAM},
            "view": {"id": window.id, **window.view, "state": {"values": values}},
        }

    async def submit(self, window: Window, **fields: Any) -> Window:
        """Fill in a window by the labels of its fields, and send it. Texts are for text fields."""
        values = {}
        for block in window.view["blocks"]:
            if block["type"] != "input":
                continue
            given = fields.get(block["label"]["text"].replace(" ", "_").rstrip("?").lower(), {})
            answer = {"value": given} if isinstance(given, str) else given
            if not answer and not block["optional"]:
                raise AssertionError(f"Slack asks for {block['label']['text']} first")
            values[block["block_id"]] = {block["element"]["action_id"]: answer}
        await self.send(self.submit_payload(window, values))
        return window

    async def send(self, payload: dict[str, Any], **envelope: Any) -> Any:
        """Send a request over the socket, and do what the answer says. Returns the answer."""
        await self.until(lambda: self._sockets)
        envelope_id = f"envelope-{next(self._numbers)}"
        acknowledged = asyncio.get_running_loop().create_future()
        self._acks[envelope_id] = acknowledged
        await self._sockets[-1].send_json(
            {
                "envelope_id": envelope_id,
                "type": "interactive",
                "accepts_response_payload": True,
                "payload": payload,
                **envelope,
            }
        )
        try:
            answer = await asyncio.wait_for(acknowledged, ACK_SECONDS)
        except TimeoutError:
            self.late += 1
            return None
        self.take_answer(payload, answer or {})
        return answer

    def take_answer(self, payload: dict[str, Any], answer: dict[str, Any]) -> None:
        """Do what the answer to a request says: windows close, change or show errors."""
        if payload["type"] != "view_submission":
            return
        [window] = [w for w in self.windows if w.id == payload["view"]["id"]]
        match answer.get("response_action"):
            case "errors":
                window.errors = answer["errors"]
                blocks = {b.get("block_id") for b in window.view["blocks"]}
                assert set(window.errors) <= blocks, "Slack shows errors at its inputs only"
            case "update":
                check_view(answer["view"])
                window.view = answer["view"]
            case None:
                window.open = False
        self._changed.set()
