"""From a claim to the end of its execution: replay, run, and say how it ended."""

import asyncio
import logging

from placet.client import Client
from placet.engine.approvals import Approvals
from placet.engine.calls import described
from placet.engine.hold import Hold, Submit
from placet.engine.replay import load
from placet.engine.run import Run
from placet.engine.workflows import Workflows
from placet.errors import PlacetError
from placet.model import Approval, Claim
from placet.retry import retried

log = logging.getLogger("placet.engine")


class Driver:
    """Runs the workflow of one claimed execution, as one task."""

    def __init__(self, claim: Claim, client: Client, submit: Submit, workflows: Workflows) -> None:
        self.fence = claim.fence
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
            # Nothing could be recorded. The lease passes the execution on, with this as the trace.
            log.exception("execution %s can't go on here", execution.id)

    async def _run(self, run: Run) -> None:
        execution = self._claim.execution
        try:
            workflow = self._workflows.find(execution.workflow, execution.workflow_version)
            result = await workflow(run)
            # What the workflow left behind must not act on an execution that is over.
            self._hold.cancel()
            await run.complete(result)
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
