"""The protocol of Slack: its Web API and its socket, with what was posted.

https://docs.slack.dev/reference describes the methods, and
https://docs.slack.dev/apis/events-api/using-socket-mode the socket. Tokens, scopes and blocks are
checked as Slack does.
"""

import asyncio
import itertools
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import WSMsgType, web

from tests.api.slack.block_rules import BlockError, check_message, check_view

TEAM = "T0PLACET"
BOT_TOKEN, APP_TOKEN = "xoxb-stand-in", "xapp-stand-in"
SCOPES = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.postEphemeral": "chat:write",
    "users.info": "users:read",
    "users.lookupByEmail": "users:read.email",
    "views.open": None,
    "views.update": None,
    "auth.test": None,
}
"""The scope of a bot's token that each method needs."""
TRIGGER_SECONDS = 3.0
WAIT = 15.0


class RefusedError(Exception):
    """An answer with ``ok: false``."""


@dataclass
class Fault:
    """What a call is answered with in place of its result; with neither, it is only slow."""

    error: str = ""
    status: int = 200
    retry_after: int | None = None
    seconds: float = 0.0


@dataclass
class Message:
    """A message as it is shown now."""

    channel: str
    ts: str
    text: str
    blocks: list[Any]
    thread_ts: str | None = None
    edits: int = 0

    def buttons(self) -> dict[str, Any]:
        """Return the buttons by their ids."""
        return {
            element["action_id"]: element
            for block in self.blocks
            if block["type"] == "actions"
            for element in block["elements"]
        }

    def said(self) -> str:
        """Return everything that is written on it."""
        return json.dumps(self.blocks, ensure_ascii=False)


@dataclass
class Window:
    """A modal that is open for a user."""

    id: str
    user: str
    view: dict[str, Any]
    open: bool = True
    errors: dict[str, str] = field(default_factory=dict)

    def said(self) -> str:
        """Return everything that is written in it."""
        return json.dumps(self.view["blocks"], ensure_ascii=False)


class SlackApi:
    """One workspace with one app. Use it as ``async with SlackApi.running()``."""

    def __init__(self, scopes: Iterable[str]) -> None:
        self.scopes = set(scopes)
        self.users: dict[str, dict[str, Any]] = {}
        self.channels = {"C0FINANCE"}
        self.messages: dict[tuple[str, str], Message] = {}
        self.whispers: list[tuple[str, str]] = []
        self.windows: list[Window] = []
        self.calls: list[str] = []
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.connections = 0
        self.late = 0
        self.url = ""
        self._socket_url = ""
        self._numbers = itertools.count(1)
        self._changed = asyncio.Event()
        self._tickets: set[str] = set()
        self._triggers: dict[str, tuple[str, float]] = {}
        self._sockets: list[web.WebSocketResponse] = []
        self._acks: dict[str, asyncio.Future[Any]] = {}

    @classmethod
    @asynccontextmanager
    async def running(cls, scopes: Iterable[str]) -> AsyncIterator[Self]:
        slack = cls(scopes)
        app = web.Application()
        app.router.add_route("*", "/api/{method}", slack._call)
        app.router.add_get("/link", slack._link)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        slack.url = f"http://127.0.0.1:{port}/api/"
        slack._socket_url = f"ws://127.0.0.1:{port}/link"
        try:
            yield slack
        finally:
            await slack.drop_sockets()
            await runner.cleanup()

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until something holds, and return what it returned."""
        async with asyncio.timeout(WAIT):
            while not (found := holds()):
                self._changed.clear()
                await self._changed.wait()
        return found

    async def drop_sockets(self) -> None:
        """Cut all connections of the socket without a word."""
        for socket in list(self._sockets):
            assert socket._req is not None
            if socket._req.transport is not None:
                socket._req.transport.abort()

    async def ask_to_reconnect(self) -> None:
        """Say that the connection ends soon, as Slack does every few hours."""
        for socket in list(self._sockets):
            await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})

    @property
    def connected(self) -> int:
        """The number of open connections."""
        return len(self._sockets)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        params = await _parameters(request)
        self.calls.append(method)
        if self.faults[method]:
            fault = self.faults[method].pop(0)
            await asyncio.sleep(fault.seconds)
            if fault.error:
                seconds = fault.retry_after
                headers = {} if seconds is None else {"Retry-After": str(seconds)}
                answer = {"ok": False, "error": fault.error}
                return web.json_response(answer, status=fault.status, headers=headers)
        try:
            result = await self._answer(method, params, request.headers.get("authorization", ""))
        except RefusedError as refused:
            return web.json_response({"ok": False, "error": str(refused)})
        self._changed.set()
        return web.json_response({"ok": True, **result})

    async def _answer(self, method: str, params: dict[str, Any], auth: str) -> dict[str, Any]:
        if method == "apps.connections.open":
            if auth != f"Bearer {APP_TOKEN}":
                raise RefusedError("invalid_auth")
            ticket = f"ticket-{next(self._numbers)}"
            self._tickets.add(ticket)
            return {"url": f"{self._socket_url}?ticket={ticket}"}
        if auth != f"Bearer {BOT_TOKEN}":
            raise RefusedError("invalid_auth")
        if method not in SCOPES:
            raise RefusedError("unknown_method")
        if SCOPES[method] is not None and SCOPES[method] not in self.scopes:
            raise RefusedError("missing_scope")
        handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "auth.test": lambda _: {"team_id": TEAM, "user_id": "U0BOT", "bot_id": "B0BOT"},
            "users.info": self._user,
            "users.lookupByEmail": self._lookup,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.postEphemeral": self._whisper,
            "views.open": self._open,
            "views.update": self._update_view,
        }
        return handlers[method](params)

    def _user(self, params: dict[str, Any]) -> dict[str, Any]:
        user = self.users.get(params["user"])
        if user is None:
            raise RefusedError("user_not_found")
        return {"user": self._seen(user)}

    def _lookup(self, params: dict[str, Any]) -> dict[str, Any]:
        for user in self.users.values():
            same = user["profile"].get("email", "").lower() == params["email"].lower()
            if same and not user["deleted"]:
                return {"user": self._seen(user)}
        raise RefusedError("users_not_found")

    def _seen(self, user: dict[str, Any]) -> dict[str, Any]:
        if "users:read.email" in self.scopes:
            return user
        return {**user, "profile": {}}

    def _post(self, params: dict[str, Any]) -> dict[str, Any]:
        channel = params["channel"]
        if channel in self.users:
            channel = direct(channel)
        elif channel not in self.channels and not channel.startswith("D"):
            raise RefusedError("channel_not_found")
        _check(params)
        message = Message(
            channel=channel,
            ts=f"1700000000.{next(self._numbers):06}",
            text=params["text"],
            blocks=params["blocks"],
            thread_ts=params.get("thread_ts"),
        )
        self.messages[channel, message.ts] = message
        return {"channel": channel, "ts": message.ts}

    def _update(self, params: dict[str, Any]) -> dict[str, Any]:
        message = self.messages.get((params["channel"], params["ts"]))
        if message is None:
            raise RefusedError("message_not_found")
        _check(params)
        message.text, message.blocks = params["text"], params["blocks"]
        message.edits += 1
        return {"channel": message.channel, "ts": message.ts}

    def _whisper(self, params: dict[str, Any]) -> dict[str, Any]:
        _check(params)
        self.whispers.append((params["user"], params["blocks"][0]["text"]["text"]))
        return {"message_ts": "1700000000.000001"}

    def _open(self, params: dict[str, Any]) -> dict[str, Any]:
        user, at = self._triggers.pop(params["trigger_id"], ("", 0.0))
        if not user:
            raise RefusedError("invalid_trigger_id")
        if asyncio.get_running_loop().time() - at > TRIGGER_SECONDS:
            raise RefusedError("trigger_expired")
        _check_view(params["view"])
        window = Window(f"V{next(self._numbers)}", user, params["view"])
        self.windows.append(window)
        return {"view": {"id": window.id}}

    def _update_view(self, params: dict[str, Any]) -> dict[str, Any]:
        _check_view(params["view"])
        for window in self.windows:
            if window.id == params["view_id"]:
                window.view = params["view"]
                return {"view": {"id": window.id}}
        raise RefusedError("not_found")

    async def _link(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=403)
        self._tickets.discard(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        await socket.send_json({"type": "hello", "num_connections": len(self._sockets) + 1})
        self._sockets.append(socket)
        self._changed.set()
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    answer = json.loads(message.data)
                    acknowledged = self._acks.pop(answer["envelope_id"], None)
                    if acknowledged is not None and not acknowledged.done():
                        acknowledged.set_result(answer.get("payload"))
        finally:
            self._sockets.remove(socket)
            self._changed.set()
        return socket


def direct(user: str) -> str:
    return f"D{user[1:]}"


def _check(params: dict[str, Any]) -> None:
    if not params.get("text") or params.get("parse") not in {"none", None}:
        raise RefusedError("no_text")
    assert params.get("link_names") in {False, "false", "0", None}, "names would be mentions"
    assert "<" not in params["text"], "the text would be markup"
    try:
        check_message(params["blocks"])
    except (BlockError, KeyError) as error:
        raise RefusedError("invalid_blocks") from error


def _check_view(view: Any) -> None:
    try:
        check_view(view)
    except (BlockError, KeyError) as error:
        raise RefusedError("invalid_arguments") from error


async def _parameters(request: web.Request) -> dict[str, Any]:
    params: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        params |= await request.json()
    elif request.can_read_body:
        params |= dict(await request.post())
    for name in ("blocks", "view"):
        if isinstance(params.get(name), str):
            params[name] = json.loads(params[name])
    return params
