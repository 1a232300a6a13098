"""What a worker says to hold its executions. These are not commands of the domain."""

from collections.abc import Sequence
from datetime import timedelta

from placet import operations
from placet.commands import ClaimRequest
from placet.durations import iso_duration
from placet.model import Claim, Heartbeat
from placet.transport import Transport
from placet.wire import variables

LEASE = timedelta(seconds=30)


class Leases(Transport):
    """Claims, heartbeats and releases. All raise RequestError."""

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
        answer = await self.execute(
            operations.CLAIM_EXECUTIONS, {"input": request}, idempotent=False
        )
        return answer.claims

    async def heartbeat(self, worker: str, *, lease: timedelta = LEASE) -> Heartbeat:
        """Prolong the worker's lease on all that it holds, and say what it lost."""
        asked = {"worker": worker, "lease": iso_duration(lease)}
        return await self.execute(operations.HEARTBEAT, asked)

    async def release(self, worker: str, execution_ids: Sequence[str] | None = None) -> int:
        """Give executions back, all if none are named, and say how many."""
        asked = variables(worker=worker, executionIds=execution_ids)
        return (await self.execute(operations.RELEASE_EXECUTIONS, asked)).released
