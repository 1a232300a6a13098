"""From a claim to the end of its execution: replay, run, and say how it ended."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from placet.client import Client
from placet.engine.approvals import Approvals
from placet.engine.calls import described
from placet.engine.hold import Hold, Submit
from placet.engine.replay import load
from placet.engine.run import Run
from placet.engine.workflows import Workflows
from placet.errors import Internal, Overloaded, PlacetError, ReadModelBehind, Unavailable
from placet.model import Approval, Claim
from placet.retry import retried

log = logging.getLogger("placet.engine")

GIVE_BACK_SECONDS = 5.0


class Driver:
    """Runs the workflow of one claimed execution, as one task."""

    def __init__(
        self,
        claim: Claim,
        client: Client,
        submit: Submit,
        workflows: Workflows,
        give_back: Callable[[str], Awaitable[None]],
    ) -> None:
        self.fence = claim.fence
        self._give_back = give_back
        self._claim = claim
        self._client = client
        self._workflows = workflows
        self._hold = Hold(claim.execution, claim.fence, submit)
        self._approvals = Approvals(self._hold)
        self.task = asyncio.create_task(self._drive(), name=f"placet-run-{claim.execution.id}")

    def resolve(self, approval: Approval) -> None:
        """Take note that an approval of the execution was resolved."""
        self._approvals.resolve(approval)

    def recheck(self) -> None:
        """Ask again for what is waited for: the connection was away for a while."""
        self._approvals.recheck()

    def abandon(self) -> None:
        """Stop at once, and record nothing more."""
        self._hold.abandon()

    async def _drive(self) -> None:
        self._hold.join()
        execution = self._claim.execution
        try:
            replay = await retried(None, load, self._client, self._claim)
            await self._run(Run(self._hold, replay, self._approvals))
        except asyncio.CancelledError:
            if not self._hold.abandoned:
                raise
        except PlacetError:
            # It is no fault of the workflow, so nothing is recorded, and another may try: this
            # worker's lease goes on and would keep it. Not at once, or both would turn in circles.
            log.exception("execution %s can't go on here and is given back", execution.id)
            await asyncio.sleep(GIVE_BACK_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
            await self._give_back(execution.id)

    async def _run(self, run: Run) -> None:
        execution = self._claim.execution
        try:
            workflow = self._workflows.find(execution.workflow, execution.workflow_version)
            result = await workflow(run)
            # What the workflow left behind must not act on an execution that is over.
            self._hold.cancel()
            await run.complete(result)
        except (Internal, Unavailable, Overloaded, ReadModelBehind):
            self._hold.cancel()
            raise
        except Exception as error:
            # Where a rejection was raised is no news; where a bug was is.
            trace = None if isinstance(error, PlacetError) else error
            log.warning("execution %s failed: %s", execution.id, described(error), exc_info=trace)
            self._hold.cancel()
            await run.fail(error)
        except asyncio.CancelledError as error:
            if self._hold.abandoned:
                raise
            self._hold.cancel()
            await run.fail(error)
