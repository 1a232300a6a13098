"""Calls of Slack's Web API, with what went wrong as one kind of error.

The methods used here and the scopes that they need are those of the manifest in
docs/notifications.md; a test compares them.
"""

import logging
from collections.abc import Awaitable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

import aiohttp
import msgspec
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from api.slack.card import Card
from api.slack.rich_text import escaped, plain, shortened

# It would write what is sent, with the payloads of requests, into the log of a level of debug.
_LIBRARY = logging.getLogger("slack_sdk.web.async_client")
_LIBRARY.setLevel(logging.WARNING)

SECONDS = 10.0
"""Within which Slack must answer a call."""
MAX_TEXT = 3_000
_TOO_MANY = 429
_FAULT = 500

# Errors of the app or its token: nobody is reached until somebody mends them.
_OF_THE_APP = frozenset(
    {
        *("account_inactive", "ekm_access_denied", "enterprise_is_restricted", "invalid_auth"),
        *("missing_scope", "no_permission", "not_allowed_token_type", "not_authed"),
        *("org_login_required", "team_access_not_granted", "token_expired", "token_revoked"),
    }
)
# Errors of one message or receiver, which another try would meet again.
_OF_THE_MESSAGE = frozenset(
    {
        *("cannot_dm_bot", "cant_update_message", "channel_is_archived", "channel_not_found"),
        *("edit_window_closed", "invalid_blocks", "invalid_blocks_format", "is_archived"),
        *("is_inactive", "message_not_found", "messages_tab_disabled", "msg_blocks_too_long"),
        *("msg_too_long", "not_in_channel", "restricted_action", "team_not_found"),
        *("user_disabled", "user_not_found", "user_not_visible", "users_not_found"),
    }
)


class SlackError(Exception):
    """Slack refused a call, or did not answer.

    ``code`` is Slack's own, "" if there was no answer. ``retry_after``: seconds to wait, if Slack
    said so. ``permanent``: another try would fail too. ``of_the_app``: every call fails at present.
    """

    def __init__(self, code: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        self.permanent = code in _OF_THE_MESSAGE
        self.of_the_app = code in _OF_THE_APP


class SlackUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user, as Slack describes it.

    ``guest`` covers those of other workspaces. ``email`` is "" if the app may not see it.
    """

    id: str
    team_id: str
    email: str
    email_confirmed: bool
    active: bool
    bot: bool
    guest: bool


class Posted(NamedTuple):
    """A message. ``ts`` is its id within the channel."""

    channel: str
    ts: str

    def __str__(self) -> str:
        return f"{self.channel}:{self.ts}"


class SlackClient:
    """The calls. Each raises SlackError. ``base_url`` is that of the Web API."""

    def __init__(self, token: str, base_url: str) -> None:
        self._token = token
        self._base_url = base_url
        self._session: aiohttp.ClientSession | None = None
        self._api: AsyncWebClient | None = None
        self._team = ""

    async def close(self) -> None:
        """Close the connections. A later call opens them again."""
        if self._session is not None:
            await self._session.close()
        self._session = self._api = None

    @property
    def api(self) -> AsyncWebClient:
        """The client of the library. It makes no second try by itself."""
        if self._api is None:
            timeout = aiohttp.ClientTimeout(total=SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout)
            self._api = AsyncWebClient(
                self._token,
                self._base_url,
                session=self._session,
                retry_handlers=[],
                logger=_LIBRARY,
            )
            host = urlsplit(self._base_url).hostname or ""
            if host in {"127.0.0.1", "::1", "localhost"} or proxy_bypass(host):
                self._api.proxy = None
        return self._api

    async def team(self) -> str:
        """Return the id of the workspace that the token belongs to."""
        if not self._team:
            answer = await _answer(self.api.auth_test())
            self._team = str(answer["team_id"])
        return self._team

    async def socket_address(self, app_token: str) -> str:
        """Return an address of Socket Mode, which is good for one connection."""
        answer = await _answer(self.api.apps_connections_open(app_token=app_token))
        return str(answer["url"])

    async def user(self, user_id: str) -> SlackUser:
        """Return a user."""
        return _user(await _answer(self.api.users_info(user=user_id)))

    async def user_by_email(self, email: str) -> SlackUser | None:
        """Return the user with an e-mail address, None if there is none."""
        try:
            return _user(await _answer(self.api.users_lookupByEmail(email=email)))
        except SlackError as error:
            if error.code == "users_not_found":
                return None
            raise

    async def post(self, channel: str, card: Card) -> Posted:
        """Post a card to a channel, or to a user by their id."""
        answer = await _answer(
            self.api.chat_postMessage(
                channel=channel,
                text=card.text,
                blocks=card.blocks,
                mrkdwn=False,
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
            )
        )
        return Posted(str(answer["channel"]), str(answer["ts"]))

    async def reply(self, to: Posted, text: str, notice: str) -> Posted:
        """Post a text into the thread of a card. ``notice`` is what a notification shows."""
        answer = await _answer(
            self.api.chat_postMessage(
                channel=to.channel,
                thread_ts=to.ts,
                text=escaped(notice),
                blocks=_said(text),
                mrkdwn=False,
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
            )
        )
        return Posted(str(answer["channel"]), str(answer["ts"]))

    async def update(self, posted: Posted, card: Card) -> None:
        """Replace a card by what it shows now."""
        await _answer(
            self.api.chat_update(
                channel=posted.channel,
                ts=posted.ts,
                text=card.text,
                blocks=card.blocks,
                parse="none",
                link_names=False,
            )
        )

    async def whisper(self, channel: str, user_id: str, text: str) -> None:
        """Tell one user something in a channel, so that nobody else sees it."""
        await _answer(
            self.api.chat_postEphemeral(
                channel=channel,
                user=user_id,
                text=escaped(text),
                blocks=_said(text),
                parse="none",
                link_names=False,
            )
        )

    async def open_window(self, trigger_id: str, view: Mapping[str, Any]) -> None:
        """Open a window for the user who clicked. The trigger is good for three seconds."""
        await _answer(self.api.views_open(trigger_id=trigger_id, view=dict(view)))

    async def update_window(self, view_id: str, view: Mapping[str, Any]) -> None:
        """Replace what a window shows."""
        await _answer(self.api.views_update(view_id=view_id, view=dict(view)))


def _said(text: str) -> list[dict[str, Any]]:
    return [{"type": "section", "text": plain(shortened(text, MAX_TEXT))}]


async def _answer(call: Awaitable[Any]) -> Mapping[str, Any]:
    """Return Slack's answer. Raises SlackError."""
    try:
        data: Mapping[str, Any] = (await call).data
    except SlackApiError as error:
        raise _refused(error) from error
    except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
        msg = f"Slack did not answer: {str(error) or type(error).__name__}"
        raise SlackError("", msg) from error
    return data


def _refused(error: SlackApiError) -> SlackError:
    response = error.response
    status = getattr(response, "status_code", 0)
    data = getattr(response, "data", None)
    code = str(data.get("error", "")) if isinstance(data, Mapping) else ""
    if status == _TOO_MANY or code == "ratelimited":
        headers = getattr(response, "headers", {})
        # Some versions of the library give the header in lower case.
        seconds = headers.get("Retry-After") or headers.get("retry-after") or "1"
        wait = float(seconds) if str(seconds).isdecimal() else 1.0
        return SlackError("ratelimited", "Slack asks to wait", retry_after=wait)
    if not code or status >= _FAULT:
        return SlackError("", f"Slack answered with the status {status}")
    return SlackError(code, f"Slack answered {code}")


def _user(answer: Mapping[str, Any]) -> SlackUser:
    user = answer["user"]
    guest = ("is_restricted", "is_ultra_restricted", "is_stranger")
    return SlackUser(
        id=str(user["id"]),
        team_id=str(user.get("team_id", "")),
        email=str(user.get("profile", {}).get("email") or ""),
        email_confirmed=user.get("is_email_confirmed") is True,
        active=user.get("deleted") is not True,
        bot=user.get("is_bot") is True or user.get("id") == "USLACKBOT",
        guest=any(user.get(name) is True for name in guest),
    )
