"""A browser without a screen: it keeps cookies, and sends forms as a page has them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.api.whole_server import WholeServer

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')
FORM = {"content-type": "application/x-www-form-urlencoded"}


class ConsoleClient:
    """Use it as ``async with ConsoleClient.open(server)``."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    @classmethod
    @asynccontextmanager
    async def open(
        cls, server: WholeServer, origin: str = "http://localhost"
    ) -> AsyncIterator["ConsoleClient"]:
        transport = httpx.ASGITransport(server.app)
        async with httpx.AsyncClient(transport=transport, base_url=origin, timeout=60) as http:
            yield cls(http)

    async def get(self, address: str, **headers: str) -> httpx.Response:
        return await self.http.get(address, headers=headers)

    async def read(self, address: str, **headers: str) -> str:
        """Return the text of a page, which must be there."""
        answer = await self.get(address, **headers)
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    async def csrf(self) -> str:
        """Return the token of this session's forms."""
        found = _CSRF.search((await self.get("/no-such-page")).text)
        assert found is not None
        return found[1]

    async def send(self, address: str, /, **fields: Any) -> httpx.Response:
        """Post a form of this session."""
        return await self.post(address, csrf=await self.csrf(), **fields)

    async def post(
        self, address: str, headers: dict[str, str] | None = None, /, **fields: Any
    ) -> httpx.Response:
        """Post these fields and no other."""
        return await self.http.post(
            address, content=urlencode(fields, doseq=True), headers=FORM | (headers or {})
        )

    async def sign_in(self, person: str = "ann") -> None:
        """Sign in as one of the made-up people."""
        answer = await self.post("/sign-in", person=person)
        assert answer.status_code == 303, answer.text
        assert (await self.get(answer.headers["location"])).status_code == 303
