"""Tells the page of an approval that something happened to it."""

from starlette.responses import Response

from api.console.live import Message, last_seen, streamed
from api.console.pages.approvals_found import found_approval
from api.console.visit import Visit
from application.subscriptions.event_tail import EventPage
from domain import authorization
from domain.values import Principal


async def stream(visit: Visit) -> Response:
    """Send a message for each event of the approval. The page then reads itself again."""
    execution, approval = await found_approval(visit)

    async def messages(events: EventPage, principal: Principal) -> list[Message]:
        if not authorization.sees_approval(principal, execution, approval):
            return []
        about = [
            event
            for event in events.events
            if getattr(event.recorded.event, "ordinal", None) == approval.ordinal
        ]
        return [Message("changed", None)] if about else []

    return streamed(visit, last_seen(visit), messages, execution_id=execution.id)
