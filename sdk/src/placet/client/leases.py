"""How a worker gets, keeps and gives back executions. These are not commands of the domain."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta

from msgspec.structs import replace

from placet._util.durations import iso_duration
from placet._util.tracing import tracer
from placet.client.transport.envelope import BoundOperation
from placet.client.transport.http import HttpTransport
from placet.client.transport.operations import leases as operations
from placet.errors import BadRequest
from placet.models.commands import ClaimRequest, Holding, KnownWorkflow, Release
from placet.models.rules import DEFAULT_LEASE
from placet.models.worker_responses import Assignment, Claim, Heartbeat, Poll

GRACE = timedelta(seconds=5)

BEAT_PAUSE = 1.0
"""The longest pause in seconds between two attempts of a heartbeat, well within GRACE."""


class Leases:
    """Claims, heartbeats, releases and assignments. All raise RequestError.

    ``gives_transcripts`` and ``gives_traces``: False once the server was found to be of a version
    without them.
    """

    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport
        self.gives_transcripts = True
        self.gives_traces = True

    async def claim(
        self,
        worker: str,
        *,
        queues: Sequence[str] = ("default",),
        limit: int = 1,
        lease: timedelta = DEFAULT_LEASE,
    ) -> list[Claim]:
        """Claim up to ``limit`` executions that have something to do.

        The request is sent once. What a lost answer had claimed comes by ``assignments``, or can be
        claimed again when the lease has run out.
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
        lease: timedelta = DEFAULT_LEASE,
        wait: timedelta = timedelta(0),
        holding: Mapping[str, int | None] | None = None,
        workflows: Sequence[KnownWorkflow] | None = None,
        transcripts: bool = False,
    ) -> Poll:
        """Claim executions by long polls, for a worker without a stream of assignments.

        ``wait``: for how long the service delays the answer while there is nothing to report, 20
        seconds at most; the lease is kept meanwhile. ``holding``: by id all executions that the
        worker knows to hold, 10,000 at most, with the ``woken_version`` that it knows, or None if
        it need not hear of more. Executions with a later version, and those that the worker holds
        without knowing because an answer was lost, are reported as claims. ``limit`` 0 claims
        nothing and reports only what is held. ``workflows``: those that the worker knows; None: it
        knows all. ``transcripts``: claims come with what a replay needs, as far as it is short and
        the server has it.
        """
        request = ClaimRequest(
            worker=worker,
            queues=queues,
            limit=limit,
            lease=iso_duration(lease),
            wait=iso_duration(wait),
            holding=[Holding(execution_id=i, seen=s) for i, s in (holding or {}).items()],
            workflows=workflows,
        )
        while transcripts and self.gives_transcripts:
            operation = operations.CLAIM_WITH_TRANSCRIPTS
            if self._traced:
                operation = operations.CLAIM_WITH_TRACES
            asked = operation(replace(request, transcripts=True))
            try:
                poll = await self.transport.look_up(asked, wait=wait.total_seconds())
            except BadRequest as error:
                self._go_on_without(error)
            else:
                return poll or Poll(claims=[], lost=[])
        asked = operations.CLAIM_EXECUTIONS(request)
        poll = await self.transport.look_up(asked, wait=wait.total_seconds())
        return poll or Poll(claims=[], lost=[])

    @property
    def _traced(self) -> bool:
        """Whether to ask for the traces of events: this program makes spans, and links to them."""
        return self.gives_traces and tracer() is not None

    def _go_on_without(self, error: BadRequest) -> None:
        """Go on without transcripts or traces if a server of an older version refused them."""
        if self.gives_traces and "traceparent" in str(error):
            self.gives_traces = False
        elif "transcripts" in str(error):
            self.gives_transcripts = False
        else:
            raise error

    async def heartbeat(self, worker: str, *, lease: timedelta = DEFAULT_LEASE) -> Heartbeat:
        """Prolong the worker's lease on all that it holds. The answer says what it lost."""
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
        """Give executions back, all if none are named, and return how many.

        ``seen``, instead of the ids, has by id the ``woken_version`` up to which the worker has
        dealt with events: another worker can claim the execution when there are more. None means
        that there is work left, so that another can claim it at once. ``fences``, also instead of
        the ids, has by id the fence of the claim that is given back. Pass it: the request is
        repeated if its answer is lost, and a later claim of this worker must stay. ``others``: give
        back all other executions too, as if there were work left. Without ``seen`` and ``fences``,
        executions that wait can be claimed when something happens, and the others at once.
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
        lease: timedelta = DEFAULT_LEASE,
        grace: timedelta | None = None,
        on_open: Callable[[], Awaitable[None]] | None = None,
        patient: bool = True,
        workflows: Callable[[], Sequence[KnownWorkflow]] | None = None,
        transcripts: bool = False,
    ) -> AsyncGenerator[Assignment, None]:
        """Yield a worker's executions and what happens to them. The open stream keeps its lease.

        After each (re)connection, of which ``on_open`` is told, everything that the worker holds is
        sent again, as claims under the same fence. ``grace``: for how long the lease lasts, at
        most, after the service has lost the connection without hearing of the worker; None: to its
        end. ``patient`` False: the stream ends by StreamCutError when its connection is lost or
        can't be opened. ``workflows`` gives those that the worker knows, at each connection; None:
        it knows all. ``transcripts``: new claims come with what a replay needs, as far as it is
        short and the server has it.
        """

        def asked() -> BoundOperation[Assignment]:
            known = None if workflows is None else workflows()
            operation = operations.ASSIGNMENTS
            if transcripts and self.gives_transcripts:
                operation = operations.ASSIGNMENTS_WITH_TRANSCRIPTS
                if self._traced:
                    operation = operations.ASSIGNMENTS_WITH_TRACES
            return operation(worker, queues, capacity, lease, grace, known)

        while True:
            stream = self.transport.socket.stream(asked, on_open, patient=patient)
            try:
                async with aclosing(stream):
                    async for message in stream:
                        yield message
            except BadRequest as error:
                if not (transcripts and self.gives_transcripts):
                    raise
                self._go_on_without(error)
            else:
                return
