"""What a worker says to hold its executions. These are not commands of the domain."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta

from placet._util.durations import iso_duration
from placet.client.transport.http import HttpTransport
from placet.client.transport.operations import leases as operations
from placet.models.commands import ClaimRequest, Holding, Release
from placet.models.worker_responses import Assignment, Claim, Heartbeat, Poll

LEASE = timedelta(seconds=30)
GRACE = timedelta(seconds=5)
SHORTEST_LEASE = timedelta(seconds=1)
"""The service takes none that is shorter."""

BEAT_PAUSE = 1.0
"""At most so many seconds between two attempts to say that a worker is there: well within GRACE."""


class Leases:
    """Claims, heartbeats and releases. All raise RequestError."""

    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport

    async def claim(
        self,
        worker: str,
        *,
        queues: Sequence[str] = ("default",),
        limit: int = 1,
        lease: timedelta = LEASE,
    ) -> list[Claim]:
        """Claim up to ``limit`` executions that have something to do.

        Sent once: what a lost answer had claimed comes back by ``assignments``, or when the lease
        has run out.
        """
        request = ClaimRequest(worker=worker, queues=queues, limit=limit, lease=iso_duration(lease))
        poll = await self.transport.send(operations.CLAIM_EXECUTIONS(request), idempotent=False)
        return poll.claims

    async def poll(
        self,
        worker: str,
        *,
        queues: Sequence[str] = ("default",),
        limit: int = 1,
        lease: timedelta = LEASE,
        wait: timedelta = timedelta(0),
        holding: Mapping[str, int | None] | None = None,
    ) -> Poll:
        """Claim executions as they come: the worker that polls instead of being told.

        ``wait``: for how long the service puts off the answer while it has nothing to tell, 20
        seconds at most; the lease is kept meanwhile. ``holding``: by id all that the worker knows
        to hold, 10,000 at most, with the ``woken_version`` of which it knows, None if it need not
        be told of more. What has a later one, and what else it holds, because an answer was lost,
        is told like a claim. ``limit`` 0 claims nothing and only tells of what is held.
        """
        request = ClaimRequest(
            worker=worker,
            queues=queues,
            limit=limit,
            lease=iso_duration(lease),
            wait=iso_duration(wait),
            holding=[Holding(execution_id=i, seen=s) for i, s in (holding or {}).items()],
        )
        asked = operations.CLAIM_EXECUTIONS(request)
        poll = await self.transport.look_up(asked, wait=wait.total_seconds())
        return poll or Poll(claims=[], lost=[])

    async def heartbeat(self, worker: str, *, lease: timedelta = LEASE) -> Heartbeat:
        """Prolong the worker's lease on all that it holds, and say what it lost."""
        return await self.transport.send(operations.HEARTBEAT(worker, lease), pause=BEAT_PAUSE)

    async def release(
        self,
        worker: str,
        execution_ids: Sequence[str] | None = None,
        *,
        seen: Mapping[str, int | None] | None = None,
        fences: Mapping[str, int] | None = None,
        others: bool = False,
    ) -> int:
        """Give executions back, all if none are named, and say how many.

        ``seen``, in the place of the ids, says of each the ``woken_version`` up to which the worker
        has dealt with what came: another worker can claim it when more comes. None: there is work
        left, so another can claim it at once. ``fences``, also in the place of the ids, says of
        each the fence of the claim that is given back: give it, because the request is repeated
        when its answer was lost, and this worker may hold a later claim by then, which is left
        alone. ``others``: beside them also give all else back, as if there were work left. Without
        ``seen`` and ``fences`` those that wait can be claimed when something comes, and the others
        at once.
        """
        releases = None
        if seen is not None or fences is not None:
            seen, fences = seen or {}, fences or {}
            releases = [
                Release(execution_id=id_, seen=seen.get(id_), fence=fences.get(id_))
                for id_ in {**seen, **fences}
            ]
        asked = operations.RELEASE_EXECUTIONS(worker, execution_ids, releases, others=others)
        return (await self.transport.send(asked)).released

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
        asked = operations.ASSIGNMENTS(worker, queues, capacity, lease, grace)
        stream = self.transport.socket.stream(lambda: asked, on_open, patient=patient)
        async with aclosing(stream):
            async for message in stream:
                yield message
