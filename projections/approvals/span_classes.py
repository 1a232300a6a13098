"""Finds the approvals that were pending at a moment, at a cost that their number bounds.

An index by the request alone would lead through all that were requested before and are long
resolved. So each row has the class of the time for which it was pending: class n is up to 4**n
seconds. What was pending at a moment and is of class n was requested within 4**n seconds before.
Where requests come evenly, at least a quarter of what is looked at in a class was pending.
"""

from datetime import datetime, timedelta
from typing import Any, LiteralString

from domain.approvals.state import Approval

LONGEST = 17
"""The class of approvals that are pending, or were so for more than 136 years."""


_PENDING: LiteralString = (
    "item.lasted = {lasted} AND item.requested_at >= {earliest}::timestamptz"
    " AND item.requested_at <= {moment} AND item.pending_until > {moment}"
)


def span_class(approval: Approval) -> int:
    """Return the class of the time from the request until it stopped being pending."""
    until = approval.pending_until
    if until is None:
        return LONGEST
    seconds = (until - approval.requested_at).total_seconds()
    return next((n for n in range(LONGEST) if seconds <= 4**n), LONGEST)


def pending_at(moment: datetime) -> list[tuple[LiteralString, dict[str, Any]]]:
    """Return conditions, one of which holds for each approval that was pending at a moment."""
    return [
        (_PENDING, {"lasted": n, "earliest": _earliest(moment, n), "moment": moment})
        for n in range(LONGEST + 1)
    ]


def _earliest(moment: datetime, number: int) -> datetime | str:
    """Return since when an approval of a class that was pending at a moment was requested."""
    if number == LONGEST:
        return "-infinity"
    try:
        return moment - timedelta(seconds=4**number)
    except OverflowError:
        return "-infinity"
