"""What the page of an approval says about amendments, and lets the viewer amend."""

from collections.abc import Callable

import msgspec

from api.console.views.approval_history import Happened, amendments_of
from api.console.views.approvals import name_of
from api.console.views.payload_fields import Editable, editable
from domain.approvals.state import Approval, Verdict
from domain.values import Principal


class Amending(msgspec.Struct, frozen=True, kw_only=True):
    """Amendments of one approval, for one viewer.

    ``editable``: the payload as fields, for a viewer who may amend it; ``too_large`` for that.
    ``last``: the last amendment. ``granted_by``: whose grants an amendment leaves without effect.
    ``outdated``: the viewer's own grant has no effect any more, and the viewer may decide anew.
    """

    allowed: bool
    editable: Editable | None
    too_large: bool
    last: Happened | None
    granted_by: list[str]
    outdated: bool


def amending_of(
    approval: Approval, viewer: Principal, text: Callable[..., str], *, may_decide: bool
) -> Amending:
    """Return what a page says. ``may_decide``: the viewer may decide now."""
    amends = may_decide and approval.policy.amendable
    fields = editable(approval.payload) if amends else None
    amendments = amendments_of(approval, text, {})
    own = approval.decisions_of(viewer.id)
    return Amending(
        allowed=approval.policy.amendable,
        editable=fields,
        too_large=amends and fields is None,
        last=amendments[-1] if amendments else None,
        granted_by=[
            name_of(each.by)
            for each in approval.counting_decisions
            if each.verdict is Verdict.GRANTED
        ],
        outdated=may_decide and bool(own) and own[-1].stands and not own[-1].counts,
    )
