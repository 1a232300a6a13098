"""The state of an execution: the fold of its events, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from rpds import HashTrieMap

from domain.approvals.state import Approval
from domain.values import Actor, ExecutionState, Label, Parent, Snapshotted


class Step(Snapshotted, frozen=True, kw_only=True):
    """``ordinal`` is the place of the step's first attempt among the steps, from 1.

    ``attempts`` is the highest attempt reported; ``failures`` holds (attempt, error, version) of
    each that failed, in the order reported. ``completed_at`` is None until one succeeded, at
    ``completed_version``.
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
        """Give what is known of this attempt's failure, if it was reported."""
        return next((failure for failure in self.failures if failure[0] == attempt), None)

    @property
    def error(self) -> str | None:
        """The last failed attempt's error, None once one succeeded."""
        return None if self.completed_at or not self.failures else self.failures[-1][1]


class Timer(Snapshotted, frozen=True, kw_only=True):
    """Pending from ``set_version`` on until it fired or was ``cancelled``, at ``done_version``."""

    key: str
    delay: timedelta | None = None
    until: datetime | None = None
    fires_at: datetime
    set_version: int
    done_version: int = 0
    cancelled: bool = False

    @property
    def pending(self) -> bool:
        """Whether it will still fire."""
        return not self.done_version

    def anew(self, retried_from: tuple[int, ...]) -> bool:
        """Whether it is to be set anew: it was cancelled, and the execution retried since."""
        return self.cancelled and bool(retried_from) and retried_from[-1] >= self.done_version


class Signal(Snapshotted, frozen=True, kw_only=True):
    """Data that came from outside, at ``version``."""

    key: str
    name: str
    payload: Any = None
    version: int


class Child(Snapshotted, frozen=True, kw_only=True):
    """An execution started for this one. ``outcome`` is None while it has not ended.

    ``retry`` is how often the parent was retried before it.
    """

    key: str
    round: int
    id: UUID
    workflow: str
    workflow_version: str | None = None
    queue: str
    input: Any = None
    retry: int = 0
    started_version: int
    outcome: ExecutionState | None = None
    ended_version: int = 0


if TYPE_CHECKING:
    StepMap = HashTrieMap[str, Step]
    ApprovalMap = HashTrieMap[int, Approval]
    RoundMap = HashTrieMap[str, int]
    TimerMap = HashTrieMap[str, Timer]
    SignalMap = HashTrieMap[str, Signal]
    ChildMap = HashTrieMap[str, Child]
else:  # The class can't be subscripted at run time, and msgspec evaluates the annotations.
    StepMap = ApprovalMap = RoundMap = TimerMap = SignalMap = ChildMap = HashTrieMap

EMPTY: HashTrieMap[Any, Any] = HashTrieMap()


class Execution(Snapshotted, frozen=True, kw_only=True):
    """An execution after ``version`` events.

    ``rounds`` names the ordinal of the latest round of each approval key. ``retried_from`` holds
    the versions from which it was retried. ``woken_version`` is the version of the latest event
    that gave a waiting worker something to do: a resolution, a timer, a signal, a child's end, or
    that it was unparked; 0 if there was none. ``asleep_version`` is that of the Suspended since
    which nothing happened, ``parked_version`` and ``unparked_version`` those of Parked and
    Unparked, each 0 if it does not hold. ``children`` holds the latest round of each key. The maps
    are persistent: folding an event shares all that the event did not touch, so its cost does not
    grow with the history.
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
    result: Any = None
    error: str | None = None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    ended_version: int = 0
    steps: StepMap = EMPTY
    approvals: ApprovalMap = EMPTY
    rounds: RoundMap = EMPTY
    pending: int = 0
    timers: TimerMap = EMPTY
    signals: SignalMap = EMPTY
    children: ChildMap = EMPTY
    retried_from: tuple[int, ...] = ()
    woken_version: int
    asleep_version: int = 0
    parked: str | None = None
    parked_version: int = 0
    unparked_version: int = 0

    @property
    def asleep(self) -> bool:
        """Whether its worker waits for nothing but a timer, a signal or a child."""
        return self.asleep_version > 0

    @property
    def workable(self) -> bool:
        """Whether a worker has something to do on it now."""
        progress = self.state in {ExecutionState.RUNNING, ExecutionState.RESUMED}
        return progress and not self.asleep_version and self.parked is None

    @property
    def wakes_at(self) -> datetime | None:
        """When its next timer fires."""
        return min((timer.fires_at for timer in self.pending_timers()), default=None)

    def pending_timers(self) -> list[Timer]:
        """Give the timers that will still fire; none once the execution is over."""
        if self.state.final:
            return []
        return [timer for timer in self.timers.values() if timer.pending]

    def approvals_in_order(self) -> list[Approval]:
        """Give the approvals in the order requested."""
        return sorted(self.approvals.values(), key=lambda approval: approval.ordinal)

    def pending_approvals(self) -> list[Approval]:
        """Give the pending approvals in the order requested."""
        if not self.pending:
            return []
        return [approval for approval in self.approvals_in_order() if approval.pending]

    def steps_in_order(self) -> list[Step]:
        """Give the steps in the order of their first attempts."""
        return sorted(self.steps.values(), key=lambda step: step.ordinal)


Changes = dict[str, Any]
