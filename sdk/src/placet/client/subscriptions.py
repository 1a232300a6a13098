"""The client's streams: they go on after a lost connection, without a gap and without a repeat."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from placet.client.queries import Queries
from placet.client.transport.http import HttpTransport
from placet.client.transport.operations import subscriptions as operations
from placet.models.commands import ApprovalFilter, EventFilter
from placet.models.responses import ApprovalMessage, EventMessage, RecordedEvent


class Subscriptions:
    """What can be followed. All raise RequestError for what trying again can't cure."""

    def __init__(self, transport: HttpTransport, queries: Queries) -> None:
        self._transport = transport
        self._queries = queries

    async def execution_events(
        self, execution_id: str, *, after_version: int | None = None
    ) -> AsyncGenerator[RecordedEvent, None]:
        """Give an execution's events in order of version; without ``after_version`` new ones.

        Ends if there is no such execution, or not one the caller may see.
        """
        if after_version is None:
            # Named, because a stream from "now" would lose what happens while it is dialled anew.
            execution = await self._queries.execution(execution_id)
            after = execution.version if execution else 0
        else:
            after = after_version
        stream = self._transport.socket.stream(
            lambda: operations.EXECUTION_EVENTS(execution_id, after), ends=True
        )
        async with aclosing(stream):
            async for event in stream:
                if event.version > after:
                    after = event.version
                    yield event

    async def events_stream(
        self, where: EventFilter | None = None, *, after: str | None = None
    ) -> AsyncGenerator[EventMessage, None]:
        """Give events in the order of the log after a cursor, without one from now on.

        A message without an event says that the cursor has moved on: keep it to go on from there.
        """
        cursor = await self._now() if after is None else after
        stream = self._transport.socket.stream(lambda: operations.EVENTS_STREAM(where, cursor))
        last: str | None = None
        async with aclosing(stream):
            async for message in stream:
                cursor = message.cursor
                if message.event is not None:
                    if message.event.position == last:
                        continue
                    last = message.event.position
                yield message

    async def approvals_stream(
        self, where: ApprovalFilter | None = None, *, after: str | None = None
    ) -> AsyncGenerator[ApprovalMessage, None]:
        """Give each approval as it changes, and the id of each that no longer matches.

        ``after``: a cursor, or the ``position`` of a page, which the stream then continues.
        """
        cursor = await self._now() if after is None else after
        stream = self._transport.socket.stream(lambda: operations.APPROVALS_STREAM(where, cursor))
        async with aclosing(stream):
            async for message in stream:
                cursor = message.cursor
                yield message

    async def _now(self) -> str | None:
        # A stream from "now" would lose what happens while it is dialled anew. The read model is
        # a moment behind the log at most, so this may bring an event or two from just before.
        return (await self._queries.executions(first=0)).position
