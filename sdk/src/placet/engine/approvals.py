"""Approvals of one run: asked for under a key, and waited for by a future and nothing else."""

import asyncio

from placet.commands import RequestApproval
from placet.engine.clearance import Clearance, clear
from placet.engine.hold import Hold
from placet.enums import ApprovalStatus
from placet.errors import Internal
from placet.model import Approval


class Approvals:
    """What a run has asked for and waits for."""

    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self._resolved: dict[str, Approval] = {}
        self._changed: dict[str, asyncio.Event] = {}

    async def obtain(self, request: RequestApproval) -> Clearance:
        """Ask and wait until it is resolved. Raises Rejected, Expired, Withdrawn and Refused."""
        while True:
            # Asked also in a replay: the service finds what was asked before, or says KEY_REUSED
            # if it was something else.
            approval = (await self._hold.send(request)).approval
            if approval is None:
                msg = f"the service did not say which approval {request.key!r} is"
                raise Internal(msg)
            # The resolution comes by the stream, and so perhaps before the answer.
            approval = self._resolved.get(approval.id, approval)
            if approval.status is not ApprovalStatus.PENDING:
                return clear(approval)
            changed = self._changed.setdefault(approval.id, asyncio.Event())
            await changed.wait()
            del self._changed[approval.id]
            if approval.id in self._resolved:
                return clear(self._resolved[approval.id])

    def resolve(self, approval: Approval) -> None:
        """Take note that an approval was resolved."""
        self._resolved[approval.id] = approval
        if changed := self._changed.get(approval.id):
            changed.set()

    def recheck(self) -> None:
        """Have everything that is waited for asked for again: a resolution may have been missed."""
        for changed in self._changed.values():
            changed.set()
