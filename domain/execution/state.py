"""The state of an execution, computed from its events alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rpds import HashTrieMap

from domain.approvals.state import Approval
from domain.values import Actor, ExecutionState, Label, Parent, ParentEnd, Snapshotted


class Step(Snapshotted, frozen=True, kw_only=True):
    """One step of the workflow.

    ``ordinal`` numbers the steps from 1, in the order of their first attempts. ``attempts`` is the
    highest attempt reported. ``failures`` has (attempt, error, version) for each failed attempt, in
    the order reported. ``completed_at`` is None and ``completed_version`` is 0 until one succeeds.
    """

    key: str
    name: str
    ordinal: int
    attempts: int
    failures: tuple[tuple[int, str, int], ...] = ()
    result: Any = None
    completed_at: datetime | None = None
    completed_version: int = 0

    def failure_of(self, attempt: int) -> tuple[int, str, int] | None:
        """Return (attempt, error, version) of this failed attempt, or None."""
        return next((failure for failure in self.failures if failure[0] == attempt), None)

    @property
    def error(self) -> str | None:
        """The error of the last failed attempt; None once the step has completed."""
        return None if self.completed_at or not self.failures else self.failures[-1][1]


class Timer(Snapshotted, frozen=True, kw_only=True):
    """A timer, set at ``set_version``.

    ``done_version`` is the version at which it fired or was cancelled; 0 while it is pending.
    """

    key: str
    delay: timedelta | None = None
    until: datetime | None = None
    fires_at: datetime
    set_version: int
    done_version: int = 0
    cancelled: bool = False

    @property
    def pending(self) -> bool:
        """Whether it has neither fired nor been cancelled."""
        return not self.done_version

    def anew(self, retried_from: tuple[int, ...]) -> bool:
        """Whether its key may be set again: it was cancelled and the execution retried since."""
        return self.cancelled and bool(retried_from) and retried_from[-1] >= self.done_version


class Signal(Snapshotted, frozen=True, kw_only=True):
    """Data that was sent from outside and received at ``version``."""

    key: str
    name: str
    payload: Any = None
    version: int


class Child(Snapshotted, frozen=True, kw_only=True):
    """An execution that this one started. ``outcome`` is None until it ends.

    ``retry`` counts the retries of the parent before this child was started. ``on_parent_end``:
    what becomes of it if this execution ends before it.
    """

    key: str
    round: int
    id: UUID
    workflow: str
    workflow_version: str | None = None
    queue: str
    input: Any = None
    on_parent_end: ParentEnd | None = None
    retry: int = 0
    started_version: int
    outcome: ExecutionState | None = None
    ended_version: int = 0


if TYPE_CHECKING:
    StepMap = HashTrieMap[str, Step]
    ApprovalMap = HashTrieMap[int, Approval]
    RoundMap = HashTrieMap[str, int]
    DeadlineMap = HashTrieMap[int, datetime]
    TimerMap = HashTrieMap[str, Timer]
    SignalMap = HashTrieMap[str, Signal]
    ChildMap = HashTrieMap[str, Child]
else:  # The class can't be subscripted at run time, and msgspec evaluates the annotations.
    StepMap = ApprovalMap = RoundMap = DeadlineMap = TimerMap = SignalMap = ChildMap = HashTrieMap

EMPTY: HashTrieMap[Any, Any] = HashTrieMap()


class Execution(Snapshotted, frozen=True, kw_only=True):
    """An execution after ``version`` events. A version field is 0 if there is no such event.

    - ``rounds`` maps each approval key to the ordinal of its latest round.
    - ``children`` maps each key to its latest round.
    - ``worker`` made the last claim, with a token of the owner ``holder``.
    - ``deadlines`` maps the ordinal of each pending approval with a deadline to the time at which
      the next reminder or the deadline is due.
    - ``pending`` counts the pending approvals.
    - ``failed_at`` has the versions of the failures after which it was retried, and
      ``retried_from`` the versions right before these retries.
    - ``woken_version`` is the version of the last event that gave a waiting worker something to
      do: a resolution, a fired timer, a signal, the end of a child, or Unparked.
    - ``asleep_version`` is the version of the last Suspended, if nothing but claims and parking
      happened since.
    - ``cleans_up``: its workflow cleans up after a cancellation. ``cancel_reason`` and
      ``cancel_requested_at`` are set once a cancellation waits for that, for good.
    - ``parked_version`` is the version of Parked, while the execution is parked;
      ``unparked_version`` that of the last Unparked.

    The maps are persistent: a new state shares everything that the event did not change, so
    applying an event does not cost more as the history grows.
    """

    id: UUID
    version: int
    state: ExecutionState
    workflow: str
    workflow_version: str | None = None
    queue: str
    key: str | None = None
    initiator: Actor
    on_behalf_of: str | None = None
    parent: Parent | None = None
    input: Any = None
    labels: tuple[Label, ...] = ()
    fence: int = 0
    worker: str | None = None
    holder: str | None = None
    result: Any = None
    error: str | None = None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    ended_version: int = 0
    steps: StepMap = EMPTY
    approvals: ApprovalMap = EMPTY
    rounds: RoundMap = EMPTY
    deadlines: DeadlineMap = EMPTY
    pending: int = 0
    timers: TimerMap = EMPTY
    signals: SignalMap = EMPTY
    children: ChildMap = EMPTY
    failed_at: tuple[int, ...] = ()
    retried_from: tuple[int, ...] = ()
    woken_version: int
    asleep_version: int = 0
    parked: str | None = None
    parked_version: int = 0
    unparked_version: int = 0
    cleans_up: bool = False
    cancel_reason: str | None = None
    cancel_requested_at: datetime | None = None
    cancel_requested_version: int = 0

    @property
    def cancelling(self) -> bool:
        """Whether it is cancelled and its workflow cleans up, so that it has not ended yet."""
        return self.cancel_requested_version > 0 and not self.state.final

    @property
    def cleaned_up(self) -> bool:
        """Whether it ended after a cancellation that waited for the clean-up."""
        return self.cancel_requested_version > 0 and self.state.final

    @property
    def asleep(self) -> bool:
        """Whether its worker waits for a timer, a signal or a child and has nothing else to do."""
        return self.asleep_version > 0

    @property
    def workable(self) -> bool:
        """Whether a worker can make progress now."""
        progress = self.state in {ExecutionState.RUNNING, ExecutionState.RESUMED}
        return progress and not self.asleep_version and self.parked is None

    @property
    def wakes_at(self) -> datetime | None:
        """When the next timer fires; None if there is none."""
        return min((timer.fires_at for timer in self.pending_timers()), default=None)

    def retried_since(self, retries: int) -> bool:
        """Whether it was retried again after this many retries."""
        return len(self.retried_from) > retries

    def pending_timers(self) -> list[Timer]:
        """Return the timers that will still fire; none once the execution is over."""
        if self.state.final:
            return []
        return [timer for timer in self.timers.values() if timer.pending]

    def approvals_in_order(self) -> list[Approval]:
        """Return all approvals in the order of their requests."""
        return sorted(self.approvals.values(), key=lambda approval: approval.ordinal)

    def pending_approvals(self) -> list[Approval]:
        """Return the pending approvals in the order of their requests."""
        if not self.pending:
            return []
        return [approval for approval in self.approvals_in_order() if approval.pending]

    def redeemed_under(self, key: str) -> bool:
        """Whether an approval was redeemed under this key."""
        return any(approval.redemption_key == key for approval in self.approvals.values())

    def steps_in_order(self) -> list[Step]:
        """Return the steps in the order of their first attempts."""
        return sorted(self.steps.values(), key=lambda step: step.ordinal)


Changes = dict[str, Any]
"""The fields of an Execution that an event changes, with their new values."""
