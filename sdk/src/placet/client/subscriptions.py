"""The client's streams: they go on after a lost connection, without a gap and without a repeat."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta

from placet._util.durations import iso_duration
from placet.client.leases import LEASE
from placet.client.queries import Queries
from placet.client.transport import operations
from placet.client.transport.envelope import variables
from placet.models.commands import ApprovalFilter, EventFilter
from placet.models.responses import ApprovalMessage, Assignment, EventMessage, RecordedEvent


class Subscriptions(Queries):
    """What can be followed. All raise RequestError for what trying again can't cure."""

    async def execution_events(
        self, execution_id: str, *, after_version: int | None = None
    ) -> AsyncGenerator[RecordedEvent, None]:
        """Give an execution's events in order of version; without ``after_version`` new ones.

        Raises NoSuchObject if there is no such execution, or not one the caller may see.
        """
        after = after_version
        if after is None:
            # Named, because a stream from "now" would lose what happens while it is dialled anew.
            execution = await self.execution(execution_id)
            after = execution.version if execution else 0
        stream = self.socket.stream(
            operations.EXECUTION_EVENTS, lambda: {"id": execution_id, "after": after}, ends=True
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
        stream = self.socket.stream(
            operations.EVENTS_STREAM, lambda: variables(filter=where, after=cursor)
        )
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
        stream = self.socket.stream(
            operations.APPROVALS_STREAM, lambda: variables(filter=where, after=cursor)
        )
        async with aclosing(stream):
            async for message in stream:
                cursor = message.cursor
                yield message

    async def assignments(
        self,
        worker: str,
        *,
        queues: Sequence[str] = ("default",),
        capacity: int = 100,
        lease: timedelta = LEASE,
        grace: timedelta | None = None,
        on_open: Callable[[], Awaitable[None]] | None = None,
        patient: bool = True,
    ) -> AsyncGenerator[Assignment, None]:
        """Give a worker its executions. The open stream keeps its lease.

        After each (re)connection, announced by ``on_open``, the worker is told again what it
        holds, as claims under the same fence. ``grace``: for how long the lease still runs, at
        most, once the service has lost the connection and not heard of the worker since; None: for
        all of its time. ``patient`` False: it ends with its connection, or if there is none to be
        had, by StreamCutError.
        """
        asked = {
            "worker": worker,
            "queues": list(queues),
            "capacity": capacity,
            "lease": iso_duration(lease),
            "grace": None if grace is None else iso_duration(grace),
        }
        stream = self.socket.stream(operations.ASSIGNMENTS, lambda: asked, on_open, patient=patient)
        async with aclosing(stream):
            async for message in stream:
                yield message

    async def _now(self) -> str | None:
        # A stream from "now" would lose what happens while it is dialled anew. The read model is
        # a moment behind the log at most, so this may bring an event or two from just before.
        return (await self.executions(first=0)).position
