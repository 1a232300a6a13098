"""The base of state machines that send commands to one execution: what holds of every answer.

The scenario behind each rule stores, reads back and folds every event that was decided, so none
is decided that can't be stored or folded.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize
from msgspec.structs import replace

from domain.approvals.commands import (
    ActOnDeadline,
    ClaimApproval,
    CommentApproval,
    DelegateApproval,
    TakeBackDelegation,
    UnclaimApproval,
)
from domain.approvals.events import (
    ApprovalAmended,
    ApprovalChangesRequested,
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalUnclaimed,
    ApprovalWithdrawn,
    Decided,
    DecisionRetracted,
    DelegationTakenBack,
)
from domain.approvals.policy import ExpiryAction
from domain.approvals.state import Approval, ApprovalStatus
from domain.execution.commands import (
    ClaimExecution,
    Command,
)
from domain.execution.decide import decide
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    CancellationRequested,
    Cancelled,
    ChildEnded,
    ChildStarted,
    Claimed,
    Completed,
    Failed,
    Parked,
    Resumed,
    Retried,
    SignalReceived,
    Started,
    StepCompleted,
    StepFailed,
    Suspended,
    TimerCancelled,
    TimerFired,
    TimerSet,
    Unparked,
)
from domain.execution.idempotency import first_version
from domain.execution.state import Execution
from domain.serialization.canonical_json import canonical, digest
from domain.values import Absence, ExecutionState, Principal, Role
from tests.domain.ask import (
    CURRENT,
    Ask,
    needs,
    policy,
    start,
)
from tests.domain.people import ENGINE, OLIVIA, OTHER_ENGINE, STRANGER, approver, principal
from tests.domain.scenario import given

EVA = principal("eva", Role.OPERATOR, Role.APPROVER, groups=("finance", "legal"))
GROUPS_OF_ABSENT = {
    "ann": ("finance", "legal"),
    "ANN": ("finance",),
    "bob": ("finance",),
    "cleo": ("legal",),
    "dora": ("finance", "legal"),
    "eva": ("finance", "legal"),
    "olivia": ("finance",),
    "uma": ("finance",),
    "vic": ("legal",),
    "xena": ("finance",),
}


def stands_in(
    name: str, *absent: str, groups: tuple[str, ...] = (), only_groups: bool = False
) -> Principal:
    """Return a person who is the substitute of these absent people."""
    absences = tuple(
        Absence(id=each, groups=frozenset(GROUPS_OF_ABSENT[each]), only_groups=only_groups)
        for each in absent
    )
    return replace(approver(name, *groups), stands_in_for=absences)


DECIDERS = (
    EVA,
    approver("ann", "finance", "legal"),
    approver("bob", "finance"),
    approver("cleo", "legal"),
    approver("dora", "finance", "legal"),
    # They may be one person with "ann" and with "dave".
    approver("ANN", "finance"),
    approver("Dave"),
    approver("dave"),
    approver("erin"),
    approver("fay"),
    approver("chief", "chiefs"),
    STRANGER,
    OLIVIA,
    # Substitutes: of one, of one for a group only, of two, of each other, and of the initiators.
    stands_in("sam", "ann"),
    stands_in("sue", "ann", only_groups=True),
    stands_in("tess", "ANN", "cleo"),
    stands_in("uma", "vic", groups=("finance",)),
    stands_in("vic", "uma", groups=("legal",)),
    stands_in("wes", "eva", "bob"),
    stands_in("Xena", "olivia", "xena", "dora"),
)
HOUR = timedelta(hours=1)
ESCALATES = {"on_expiry": ExpiryAction.ESCALATE, "escalate_to": ("chiefs",), "within": 4 * HOUR}
POLICIES = (
    policy(),
    policy(needs("finance"), needs("legal")),
    policy(needs("finance", count=2), needs("legal"), rejections=2, amendable=True),
    policy(needs("legal", users=("bob",)), allow_initiator=True),
    policy(needs("finance"), needs("legal", stage=2), rejections=2, amendable=True),
    policy(needs("finance", count=2), needs("legal", stage=2), needs("finance", stage=2)),
    policy(needs("finance"), needs("legal", stage=2), remind_before=(HOUR, 3 * HOUR), **ESCALATES),
    policy(needs("finance", count=2), valid_for=2 * HOUR, amendable=True, **ESCALATES),
    policy(needs("legal", count=3), on_expiry=ExpiryAction.GRANT, within=HOUR, valid_for=HOUR),
    policy(comment_required=True, within=2 * HOUR, remind_before=(HOUR,), amendable=True),
)
FORM = {
    "type": "object",
    "properties": {"risk": {"enum": ["low", "high"]}},
    "required": ["risk"],
    "additionalProperties": False,
}
FITTING = ({"risk": "low"}, {"risk": "high"})
MISFITTING: tuple[dict[str, str], ...] = ({"risk": "huge"}, {})
ENDS: dict[type[Event], ExecutionState] = {
    Completed: ExecutionState.COMPLETED,
    Failed: ExecutionState.FAILED,
    Cancelled: ExecutionState.CANCELLED,
}
BEGINNINGS: dict[str, tuple[type[Event], ...]] = {
    "StartExecution": (Started,),
    "ClaimExecution": (Claimed,),
    "RecordStep": (StepCompleted, StepFailed),
    "RequestApproval": (ApprovalRequested,),
    "Decide": (ApprovalGranted, ApprovalRejected, ApprovalChangesRequested),
    "RetractDecision": (DecisionRetracted,),
    "DelegateApproval": (ApprovalDelegated,),
    "TakeBackDelegation": (DelegationTakenBack,),
    "ActOnDeadline": (ApprovalReminded, ApprovalEscalated, ApprovalExpired),
    "RevokeApproval": (ApprovalRevoked,),
    "CommentApproval": (ApprovalCommented,),
    "ClaimApproval": (ApprovalClaimed,),
    # Nothing was claimed, or somebody else has claimed it since.
    "UnclaimApproval": (ApprovalUnclaimed, ApprovalClaimed, ApprovalRequested),
    "WithdrawApproval": (ApprovalWithdrawn,),
    "RedeemApproval": (ApprovalRedeemed,),
    "SetTimer": (TimerSet,),
    "FireTimer": (TimerFired, TimerCancelled),
    "CancelTimer": (TimerCancelled, TimerFired),
    "SendSignal": (SignalReceived,),
    "StartChild": (ChildStarted,),
    "EndChild": (ChildEnded,),
    "SuspendExecution": (Suspended,),
    "ParkExecution": (Parked,),
    "UnparkExecution": (Unparked,),
    "CompleteExecution": (Completed, Cancelled),
    "FailExecution": (Failed, Cancelled),
    "CancelExecution": (Cancelled, CancellationRequested),
    "EndCancellation": (Cancelled,),
    "RetryExecution": (Retried,),
}

engines = st.sampled_from((*[ENGINE] * 9, OTHER_ENGINE))
fences = st.sampled_from((*[CURRENT] * 9, None, 0, 1))
deciders = st.sampled_from(DECIDERS)
keys = st.sampled_from(("a", "b", "c"))
# The last is also a key that approvals are redeemed under.
step_keys = st.sampled_from(("a", "b", "one"))
back = st.sampled_from((0, 0, 0, 1, 2))
digests = st.sampled_from((*[None] * 9, "sha256:other"))
words = st.sampled_from(("one", "two"))
maybe_words = st.sampled_from((None, "one"))
maybe_keys = st.sampled_from((None, None, "one", "two"))
amendments = st.sampled_from((None, None, 1, 2, {"cost": 3}))
forms = st.sampled_from((None, None, FORM))
# None: leave them out. Where there is no form, all answers are wrong.
given_answers = st.sampled_from((None, None, *FITTING, *MISFITTING))
PEOPLE = {person.id: person for person in DECIDERS}
delegates = st.sampled_from(("dave", "dave", "Dave", "erin", "fay", "ann", "ANN", "cleo", "olivia"))


WAKES_NOBODY = (
    CommentApproval,
    ClaimApproval,
    UnclaimApproval,
    DelegateApproval,
    TakeBackDelegation,
    ActOnDeadline,
)


class Machine(RuleBasedStateMachine):
    """One execution, and the first results of its steps as the model remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.history = given()
        self.results: dict[str, Any] = {}
        self.commands: dict[int, UUID] = {}

    @property
    def execution(self) -> Execution:
        return self.history.state

    @property
    def approvals(self) -> list[Approval]:
        return self.execution.approvals_in_order()

    def ordinal(self, back: int) -> int:
        """The ordinal of the latest approval, or of one before it."""
        return max(1, len(self.execution.approvals) - back)

    def ask(self, ask: Ask) -> tuple[Event, ...]:
        """Ask, and check what holds of every answer."""
        log = self.history.log
        before, length = (self.history.state, len(log)) if log else (None, 0)
        command = ask(before)
        asked = self.history.when(lambda _state: command)
        after = self.history.state
        if asked.refusal is not None:
            assert after == before
            assert len(self.history.log) == length
            return ()
        expected = BEGINNINGS[type(command).__name__]
        if not asked.recorded:
            version = first_version(after, command)
            if isinstance(command, ActOnDeadline):
                assert version == after.approvals[command.ordinal].resolved_version
            else:
                assert type(self.history.log[version - 1].event) in expected
            assert after == before
        else:
            one = UUID(int=after.version)
            self.commands |= dict.fromkeys(range(length + 1, after.version + 1), one)
            assert any(isinstance(event, expected) for event in asked.recorded)
            self.check_commit(asked.recorded)
            if before is not None:
                self.check_wake_up(command, asked.recorded, before)
                for event in asked.recorded:
                    self.check_before(event, before)
        if not isinstance(command, ClaimExecution | ActOnDeadline):
            assert decide(after, command, self.history.now) == ()
        return asked.recorded

    def check_commit(self, events: tuple[Event, ...]) -> None:
        """Resolutions, Resumed and ends come together or not at all."""
        types = [type(event) for event in events]
        resolved = types.count(ApprovalWithdrawn) + sum(
            (isinstance(event, Decided) and event.resolves) or isinstance(event, ApprovalExpired)
            for event in events
        )
        ended = any(each in ENDS for each in types)
        assert (Resumed in types) == (bool(resolved) and not ended and not self.execution.pending)
        if ended:
            assert types[-1] in ENDS
            assert self.execution.pending == 0

    def check_wake_up(self, command: Command, events: tuple[Event, ...], before: Execution) -> None:
        """What is said about an approval does not wake the worker."""
        after = self.execution
        resolves = any(isinstance(event, ApprovalExpired) for event in events)
        if isinstance(command, WAKES_NOBODY) and not resolves:
            assert after.state is before.state
            assert after.woken_version == before.woken_version
            assert after.asleep_version == before.asleep_version
            assert after.retried_from == before.retried_from
        if isinstance(events[0], ApprovalRevoked):
            assert after.state is before.state
            assert after.woken_version == after.version

    def check_before(self, event: Event, before: Execution) -> None:
        """What must have been so before the event, by its time."""
        at = self.history.log[-1].at
        match event:
            case ApprovalExpired() | ApprovalEscalated():
                deadline = before.approvals[event.ordinal].current_deadline
                assert deadline is not None
                assert at >= deadline
            case ApprovalReminded():
                assert at >= event.due_at
            case ApprovalRedeemed():
                approval = before.approvals[event.ordinal]
                assert approval.status is ApprovalStatus.GRANTED
                assert event.payload_digest == digest(canonical(approval.payload))
                valid_for = approval.policy.valid_for
                assert approval.resolved_at is not None
                assert valid_for is None or at <= approval.resolved_at + valid_for
            case ApprovalAmended():
                assert before.approvals[event.ordinal].policy.amendable
                assert event.seen_digest == before.approvals[event.ordinal].digest
            case ApprovalRequested() if event.round > 1:
                last = before.approvals[before.rounds[event.key]]
                again = last.status in (ApprovalStatus.CHANGES_REQUESTED, ApprovalStatus.REVOKED)
                retried = len(before.retried_from) > last.retry
                lapsed = last.lapsed(at)
                granted = last.status is ApprovalStatus.GRANTED
                assert again or lapsed or (retried and not granted)
            case _:
                pass

    @initialize(by=st.sampled_from((OLIVIA, EVA)), behalf=st.sampled_from((None, "ann")))
    def begin(self, by: Any, behalf: str | None) -> None:
        assert self.ask(start(by, on_behalf_of=behalf))
