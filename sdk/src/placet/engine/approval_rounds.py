"""The rounds in which a workflow asks for approval under one key."""

from typing import Any

import msgspec

from placet.engine.pending import Pending, PendingApproval
from placet.errors import ChangesRequested, Lapsed, Revoked


class ApprovalRounds:
    """Knows what a run has asked for under each key, and when it may ask for something else.

    It may do so after changes were requested, and after it was told that its grant was revoked or
    has lapsed. The service then opens the next round. The same content again would be a repeat of
    the earlier round, which is resolved.
    """

    __slots__ = ("_asked", "_void")

    def __init__(self) -> None:
        self._asked: dict[str, list[PendingApproval]] = {}
        # The ids of the approvals whose grants can't be used.
        self._void: set[str] = set()

    def begin(self, pending: Pending, *, used: bool) -> None:
        """Note what is asked for. Raises ValueError if it may not be.

        ``used``: its key was used before.
        """
        earlier = self._asked.get(pending.key, [])
        if used and not (isinstance(pending, PendingApproval) and self._invites(earlier)):
            msg = f"the key {pending.key!r} is used twice in one run; give each use its own key"
            raise ValueError(msg)
        if not isinstance(pending, PendingApproval):
            return
        if any(_content(each) == _content(pending) for each in earlier):
            msg = (
                f"{pending} was asked for with the same content in an earlier round; the next round"
                " needs another payload"
            )
            raise ValueError(msg)
        self._asked.setdefault(pending.key, []).append(pending)

    def refused(self, approval_id: str, error: Exception) -> None:
        """Note how the use of a grant failed."""
        if isinstance(error, Lapsed | Revoked):
            self._void.add(approval_id)

    def _invites(self, rounds: list[PendingApproval]) -> bool:
        if not rounds or rounds[-1].open or rounds[-1].future.cancelled():
            return False
        future = rounds[-1].future
        error = future.exception()
        if error is None:
            return future.result().approval.id in self._void
        return isinstance(error, ChangesRequested)


def _content(pending: PendingApproval) -> tuple[Any, ...]:
    request = pending.request
    return (
        request.title,
        request.description,
        pending.payload_digest,
        request.form,
        request.deadline,
        msgspec.to_builtins(request.policy),
    )
