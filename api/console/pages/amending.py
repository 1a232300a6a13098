"""Amending: who approves changes the payload, and sees the change before it is sent.

Whatever was changed in the fields of the payload leads to a page that shows the change, however the
form was sent. Only that page sends it.
"""

from itertools import pairwise
from typing import Any

import msgspec
from starlette.responses import Response

from api.console.pages.approvals_found import found_approval
from api.console.pages.decisions import text_of
from api.console.pages.heavy import made_from
from api.console.views.approval_page import shown
from api.console.views.differences import Difference, differences
from api.console.views.payload_fields import FieldError, changed_payload
from api.console.visit import Visit
from api.graphql.json_body import decode_json
from domain import validation
from domain.approvals.events import ApprovalAmended, ApprovalRequested
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.serialization.canonical_json import canonical, digest

AMENDED = "amended"
"""The name of the hidden field with the payload that was reviewed, as JSON."""

_NOT_KEPT = {"csrf", "page", AMENDED}


def amended_payload(visit: Visit, approval: Approval) -> Any:
    """Return the payload that the form of the page asks for, None if it changes nothing.

    Raises ValueError with what is wrong with a field, in the reader's language.
    """
    if not approval.policy.amendable or visit.form.value("digest") != approval.digest:
        # Whatever was typed is about another payload, which the decision is refused for.
        return None
    try:
        payload = changed_payload(visit.form, approval.payload)
    except FieldError as error:
        raise ValueError(_words(visit, error)) from error
    if payload is None:
        raise ValueError(visit.text("Nothing at all can't be approved."))
    if problem := validation.json(payload, "payload"):
        raise ValueError(visit.text("What will be done can't be this: %(why)s.", why=problem))
    return None if digest(canonical(payload)) == approval.payload_digest else payload


def reviewed_payload(visit: Visit) -> Any:
    """Return the payload that was reviewed. Raises ValueError if it is missing."""
    return decode_json(visit.form.value(AMENDED).encode("utf-8", "surrogatepass"), "the payload")


async def review(visit: Visit, payload: Any) -> Response:
    """Show the change, with a form that sends it. It is bound to what was shown before."""
    execution, approval = await found_approval(visit)

    def fill() -> Response:
        page = shown(visit.reader, execution, approval)
        # With what was typed, so that more can be changed.
        kept = [(name, value) for name, value in visit.form.pairs() if name not in _NOT_KEPT]
        return visit.page(
            "amend.html",
            approval=page,
            changed=differences([approval.payload, payload]),
            amended=msgspec.json.encode(payload).decode(),
            comment=text_of(visit, "comment"),
            kept=kept,
        )

    return await made_from([approval], fill)


async def changes_of(
    visit: Visit, execution: Execution, approval: Approval
) -> dict[int, list[Difference]]:
    """Return what each amendment changed, by its version. It is read from the log."""
    if not approval.amendments:
        return {}
    versions = [approval.requested_version, *(each.version for each in approval.amendments)]
    events = await visit.services.reader.versions(execution.id, versions)
    payloads = {
        each.recorded.version: each.recorded.event.content.payload
        for each in events
        if isinstance(each.recorded.event, ApprovalRequested | ApprovalAmended)
    }
    return {
        after: differences([payloads.get(before), payloads.get(after)])
        for before, after in pairwise(versions)
    }


def _words(visit: Visit, error: FieldError) -> str:
    if error.reason is None:
        return visit.text("“%(field)s” must be a number, such as 12.5.", field=error.label)
    if not error.label:
        return visit.text("The payload can't be read: %(why)s.", why=error.reason)
    return visit.text("“%(field)s” can't be read: %(why)s.", field=error.label, why=error.reason)
