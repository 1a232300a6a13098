"""Requests for approvals, timers and children: sent to the service, and taken back."""

import logging

from placet._util.durations import iso_duration
from placet.engine.host import Host
from placet.engine.pending import Pending, PendingApproval, PendingChild, PendingTimer
from placet.engine.step_recorder import StepRecorder
from placet.errors import BadRequest, Internal, LimitExceeded, Refused, transient
from placet.models.commands import CancelTimer, Command, SetTimer, WithdrawApproval

log = logging.getLogger("placet.engine")

NO_LONGER = "the workflow no longer waits for it"


class RequestSender:
    """Sends the requests of one workflow. ``recorder`` records those that are refused."""

    def __init__(self, host: Host, recorder: StepRecorder) -> None:
        self._host = host
        self._recorder = recorder

    async def send(self, pending: Pending) -> None:
        """Send a request, and take it back if the workflow has stopped waiting for it meanwhile."""
        try:
            accepted = await self._host.send(self._command(pending))
        except (Refused, BadRequest, LimitExceeded) as error:
            if transient(error):
                raise
            await self._recorder.refusal(pending, error)
            return
        pending.known = True
        if isinstance(pending, PendingApproval):
            if accepted.approval is None:
                msg = f"the service did not return the approval {pending.key!r}"
                raise Internal(msg)
            pending.approval_id = accepted.approval.id
        if isinstance(pending, PendingChild) and pending.told is not None:
            pending.child_id = await self._host.engine.children.id_of(
                pending.command.execution_id, pending.key
            )
        if pending.untold:
            await self._recorder.tell(pending)
        if not pending.open:
            self.take_back(pending)

    def take_back(self, pending: Pending) -> None:
        """Withdraw an approval or cancel a timer that the service knows; a child goes on."""
        match pending:
            case PendingApproval(approval_id=str(approval_id)):
                command: Command = WithdrawApproval(
                    approval_id=approval_id, fence=self._host.fence, reason=NO_LONGER
                )
            case PendingTimer(known=True):
                command = CancelTimer(
                    execution_id=self._host.execution.id, fence=self._host.fence, key=pending.key
                )
            case _:
                return
        self._host.spawn(self._send_back(command))

    async def _send_back(self, command: Command) -> None:
        try:
            await self._host.send(command)
        except Refused as error:
            if transient(error):
                raise
            # It was resolved at the same moment, or the service no longer needs it.
            log.debug("execution %s: %s", self._host.execution.id, error)

    def _command(self, pending: Pending) -> Command:
        match pending:
            case PendingApproval():
                return pending.request
            case PendingChild():
                return pending.command
            case PendingTimer():
                return SetTimer(
                    execution_id=self._host.execution.id,
                    fence=self._host.fence,
                    key=pending.key,
                    delay=None if pending.delay is None else iso_duration(pending.delay),
                    until=pending.until,
                )
            case _:
                msg = f"{pending} is not a request"
                raise TypeError(msg)
