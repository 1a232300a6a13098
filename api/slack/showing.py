"""What a card shows of an approval now, to the person or channel whose card it is."""

from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, Protocol

from api.console.pages.heavy import made_from
from api.slack.card import Card, card_of, hidden_card
from application.event_store.reader import Reader
from domain import authorization
from domain.approvals.state import Approval, ApprovalStatus
from domain.execution.state import Execution
from domain.identifiers import ApprovalId
from domain.values import Principal


class Principals(Protocol):
    """Who people are now."""

    async def __call__(self, person: str) -> Principal | None:
        """Return a person as they would act now, None if they are unknown or deactivated."""


class Showing(NamedTuple):
    """``version`` is that of the execution. ``open``: an event may still change the card.

    ``hidden``: the recipient may not see the approval, and the card says only that.
    """

    card: Card
    version: int
    open: bool
    hidden: bool = False


class Shows:
    """Makes cards. ``address`` is that of the console, without a slash at its end."""

    def __init__(self, reader: Reader, principals: Principals, address: str) -> None:
        self._reader = reader
        self._principals = principals
        self._address = address

    async def card(self, approval_id: ApprovalId, recipient: str | None) -> Showing | None:
        """Return the card, None if there is no such approval.

        ``recipient``: the person, None for a channel. Raises one of DAMAGE and psycopg errors.
        """
        execution = await self._reader.execution(approval_id.execution_id)
        approval = None if execution is None else execution.approvals.get(approval_id.ordinal)
        if execution is None or approval is None:
            return None
        goes_on = may_change(execution, approval)
        viewer = None
        if recipient is not None:
            viewer = await self._principals(recipient)
            if viewer is None or not authorization.sees_approval(viewer, execution, approval):
                return Showing(hidden_card(), execution.version, goes_on, hidden=True)
        make = partial(
            card_of,
            execution,
            approval,
            viewer=viewer,
            address=self._address,
            now=datetime.now(UTC),
        )
        return Showing(await made_from([approval], make), execution.version, goes_on)


def may_change(execution: Execution, approval: Approval) -> bool:
    """Whether an event can still change what a card shows: it is pending, or could be revoked."""
    if approval.pending:
        return True
    granted = approval.status is ApprovalStatus.GRANTED and not approval.redeemed_version
    return granted and not execution.state.final
