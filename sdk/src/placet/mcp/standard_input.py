"""Standard input of the server: messages in which an object has a name twice are refused.

The library's decoder keeps the last of two values, so an agent's own log could show another payload
than people see.
"""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import TextIOWrapper
from typing import Any

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, ErrorData, JSONRPCError

from placet._util.json_text import RepeatedNameError, parsed

Streams = tuple[ObjectReceiveStream[Any], ObjectSendStream[SessionMessage]]


@asynccontextmanager
async def standard_streams() -> AsyncIterator[Streams]:
    """Serve over standard input and output, as the library does, and check each message."""
    lines = _CheckedLines(TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace"))
    async with stdio_server(stdin=lines) as (read, write):
        lines.answers = write
        yield read, write


class _CheckedLines(anyio.AsyncFile[str]):
    """The lines of a file, without those that are refused. The sender of a request is told."""

    answers: ObjectSendStream[SessionMessage] | None = None

    async def __aiter__(self) -> AsyncIterator[str]:
        async for line in super().__aiter__():
            try:
                parsed(line, "the message")
            except RepeatedNameError as error:
                await self._refuse(line, error)
                continue
            except ValueError:
                # The library says what is wrong with it.
                pass
            yield line

    async def _refuse(self, line: str, error: RepeatedNameError) -> None:
        match json.loads(line):
            case {"id": str() | int() as id_} if self.answers is not None:
                told = ErrorData(code=INVALID_REQUEST, message=str(error))
                answer = JSONRPCError(jsonrpc="2.0", id=id_, error=told)
                await self.answers.send(SessionMessage(answer))
