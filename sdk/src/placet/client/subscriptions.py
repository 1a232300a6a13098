"""The streams of the client. They go on after a lost connection, without a gap or a repeat."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from placet.client.queries import Queries
from placet.client.transport.http import HttpTransport
from placet.client.transport.operations import subscriptions as operations
from placet.models.commands import ApprovalFilter, EventFilter
from placet.models.responses import ApprovalMessage, EventMessage, RecordedEvent


class Subscriptions:
    """The streams. All raise RequestError if trying again is useless."""

    def __init__(self, transport: HttpTransport, queries: Queries) -> None:
        self._transport = transport
        self._queries = queries

    async def execution_events(
        self, execution_id: str, *, after_version: int | None = None
    ) -> AsyncGenerator[RecordedEvent, None]:
        """Yield the events of an execution in order of version; by default only new ones.

        Raises NoSuchObject if there is no such execution that the caller may see, and
        PositionUnknown if the execution does not have the version, or if another event has the last
        version after a reconnect, because the database was replaced by a copy.
        """
        if after_version is None:
            # A version, because a stream from "now" would lose events while it reconnects.
            execution = await self._queries.execution(execution_id)
            after = execution.version if execution else 0
        else:
            after = after_version
        last: str | None = None
        stream = self._transport.socket.stream(
            lambda: operations.EXECUTION_EVENTS(execution_id, after, last), ends=True
        )
        async with aclosing(stream):
            async for event in stream:
                if event.version > after:
                    after, last = event.version, event.hash
                    yield event

    async def events_stream(
        self, where: EventFilter | None = None, *, after: str | None = None
    ) -> AsyncGenerator[EventMessage, None]:
        """Yield events in the order of the log after a cursor; by default from now on.

        A message without an event has a later cursor. Keep the cursor to go on from there.
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
        """Yield each approval as it changes, and the id of each that no longer matches.

        ``after``: a cursor, or the ``position`` of a page, which the stream then continues.
        """
        cursor = await self._now() if after is None else after
        stream = self._transport.socket.stream(lambda: operations.APPROVALS_STREAM(where, cursor))
        async with aclosing(stream):
            async for message in stream:
                cursor = message.cursor
                yield message

    async def _now(self) -> str | None:
        # A stream from "now" would lose events while it reconnects. The read model is at most a
        # moment behind the log, so the stream may begin with events from just before.
        return (await self._queries.executions(first=0)).position
