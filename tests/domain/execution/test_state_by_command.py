"""Every state with every command: what is recorded and where it leads, or why it is refused."""

import pytest

from domain.approvals.events import (
    ApprovalAmended,
    ApprovalChangesRequested,
    ApprovalClaimed,
    ApprovalCommented,
    ApprovalDelegated,
    ApprovalGranted,
    ApprovalRedeemed,
    ApprovalRejected,
    ApprovalRequested,
    ApprovalRevoked,
    ApprovalUnclaimed,
    ApprovalWithdrawn,
    DecisionRetracted,
    DelegationTakenBack,
)
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Cancelled,
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
    TimerSet,
)
from domain.execution.transitions import target
from domain.refusals import RefusalCode
from domain.values import ExecutionState
from tests.domain.ask import (
    Ask,
    act_on_deadline,
    ask_changes,
    cancel,
    claim,
    claim_approval,
    comment,
    complete,
    delegate,
    fail,
    grant,
    needs,
    park,
    policy,
    redeem,
    reject,
    request,
    retract,
    retry,
    revoke,
    set_timer,
    signal,
    start,
    start_child,
    step,
    suspend,
    take_back,
    unclaim_approval,
    unpark,
    withdraw,
)
from tests.domain.scenario import given
from tests.domain.states import HISTORIES

STATES = list(HISTORIES)
BEFORE, RUN, WAIT, RESUME, DONE, FAIL, CANCEL = STATES
ILLEGAL = RefusalCode.INVALID_TRANSITION
UNKNOWN = RefusalCode.NOT_FOUND
DECIDED = RefusalCode.ALREADY_DECIDED
AGAIN: tuple[type[Event], ...] = ()

Outcome = tuple[type[Event], ...] | RefusalCode
COMMANDS: dict[str, Ask] = {
    "start": start(),
    "claim": claim(),
    "step": step("new"),
    "failed step": step("new", error="e"),
    "request": request("new"),
    "grant": grant(by="bob", ordinal=1),
    "amend": grant(by="bob", ordinal=1, amended_payload=1),
    "reject": reject(by="bob", ordinal=1),
    "request changes": ask_changes(by="bob", ordinal=1),
    "retract": retract(by="bob", ordinal=1),
    "delegate": delegate("dora", by="bob", ordinal=1),
    "take back": take_back(by="bob", ordinal=1),
    "revoke": revoke(by="olivia", ordinal=1),
    "comment": comment(by="bob", ordinal=1, key="one"),
    "claim approval": claim_approval(by="bob", ordinal=1),
    "unclaim approval": unclaim_approval(by="bob", ordinal=1),
    "act on deadline": act_on_deadline(ordinal=1),
    "withdraw": withdraw(1),
    "redeem": redeem(1),
    "set timer": set_timer(),
    "signal": signal(),
    "start child": start_child(),
    "suspend": suspend(),
    "park": park(),
    "pause": park("olivia", fence=None),
    "unpark": unpark(),
    "complete": complete(),
    "fail": fail(),
    "cancel": cancel(),
    "retry": retry(),
}
# In each row: before the start, RUNNING, WAITING_APPROVAL, RESUMED, COMPLETED, FAILED, CANCELLED.
TABLE: dict[str, tuple[Outcome, ...]] = {
    "start": ((Started,), AGAIN, AGAIN, AGAIN, AGAIN, AGAIN, AGAIN),
    "claim": (UNKNOWN, (Claimed,), (Claimed,), (Claimed,), ILLEGAL, ILLEGAL, ILLEGAL),
    "step": (
        UNKNOWN,
        (StepCompleted,),
        (StepCompleted,),
        (StepCompleted,),
        ILLEGAL,
        ILLEGAL,
        ILLEGAL,
    ),
    "failed step": (
        UNKNOWN,
        (StepFailed,),
        (StepFailed,),
        (StepFailed,),
        ILLEGAL,
        ILLEGAL,
        ILLEGAL,
    ),
    "request": (
        UNKNOWN,
        (ApprovalRequested,),
        (ApprovalRequested,),
        (ApprovalRequested,),
        ILLEGAL,
        ILLEGAL,
        ILLEGAL,
    ),
    "grant": (UNKNOWN, DECIDED, (ApprovalGranted, Resumed), DECIDED, DECIDED, DECIDED, DECIDED),
    "amend": (
        UNKNOWN,
        DECIDED,
        (ApprovalAmended, ApprovalGranted, Resumed),
        DECIDED,
        DECIDED,
        DECIDED,
        DECIDED,
    ),
    "reject": (UNKNOWN, DECIDED, (ApprovalRejected, Resumed), DECIDED, DECIDED, DECIDED, DECIDED),
    "request changes": (
        UNKNOWN,
        DECIDED,
        (ApprovalChangesRequested, Resumed),
        DECIDED,
        DECIDED,
        DECIDED,
        DECIDED,
    ),
    "retract": (UNKNOWN, DECIDED, ILLEGAL, DECIDED, DECIDED, DECIDED, DECIDED),
    "delegate": (UNKNOWN, DECIDED, (ApprovalDelegated,), DECIDED, DECIDED, DECIDED, DECIDED),
    "take back": (UNKNOWN, DECIDED, ILLEGAL, DECIDED, DECIDED, DECIDED, DECIDED),
    "revoke": (
        UNKNOWN,
        (ApprovalRevoked,),
        ILLEGAL,
        (ApprovalRevoked,),
        ILLEGAL,
        (ApprovalRevoked,),
        ILLEGAL,
    ),
    "comment": (
        UNKNOWN,
        (ApprovalCommented,),
        (ApprovalCommented,),
        (ApprovalCommented,),
        (ApprovalCommented,),
        (ApprovalCommented,),
        (ApprovalCommented,),
    ),
    "claim approval": (UNKNOWN, DECIDED, (ApprovalClaimed,), DECIDED, DECIDED, DECIDED, DECIDED),
    # Who has not claimed it is told that they do not have it.
    "unclaim approval": (UNKNOWN, AGAIN, AGAIN, AGAIN, AGAIN, AGAIN, AGAIN),
    "act on deadline": (
        UNKNOWN,
        AGAIN,
        RefusalCode.VERSION_CONFLICT,
        AGAIN,
        AGAIN,
        AGAIN,
        AGAIN,
    ),
    "withdraw": (
        UNKNOWN,
        DECIDED,
        (ApprovalWithdrawn, Resumed),
        DECIDED,
        DECIDED,
        DECIDED,
        DECIDED,
    ),
    "redeem": (
        UNKNOWN,
        (ApprovalRedeemed,),
        ILLEGAL,
        (ApprovalRedeemed,),
        ILLEGAL,
        ILLEGAL,
        ILLEGAL,
    ),
    "set timer": (UNKNOWN, (TimerSet,), (TimerSet,), (TimerSet,), ILLEGAL, ILLEGAL, ILLEGAL),
    "signal": (
        UNKNOWN,
        (SignalReceived,),
        (SignalReceived,),
        (SignalReceived,),
        ILLEGAL,
        ILLEGAL,
        ILLEGAL,
    ),
    "start child": (
        UNKNOWN,
        (ChildStarted,),
        (ChildStarted,),
        (ChildStarted,),
        ILLEGAL,
        ILLEGAL,
        ILLEGAL,
    ),
    "suspend": (UNKNOWN, (Suspended,), ILLEGAL, (Suspended,), ILLEGAL, ILLEGAL, ILLEGAL),
    "park": (UNKNOWN, (Parked,), (Parked,), (Parked,), ILLEGAL, ILLEGAL, ILLEGAL),
    "pause": (UNKNOWN, (Parked,), (Parked,), (Parked,), ILLEGAL, ILLEGAL, ILLEGAL),
    "unpark": (UNKNOWN, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL),
    "complete": (UNKNOWN, (Completed,), ILLEGAL, (Completed,), AGAIN, ILLEGAL, ILLEGAL),
    "fail": (UNKNOWN, (Failed,), (ApprovalWithdrawn, Failed), (Failed,), ILLEGAL, AGAIN, ILLEGAL),
    "cancel": (
        UNKNOWN,
        (Cancelled,),
        (ApprovalWithdrawn, Cancelled),
        (Cancelled,),
        ILLEGAL,
        ILLEGAL,
        AGAIN,
    ),
    "retry": (UNKNOWN, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL, (Retried,), ILLEGAL),
}


def test_the_table_is_whole() -> None:
    assert [*ExecutionState] == STATES[1:]
    assert TABLE.keys() == COMMANDS.keys()
    assert {len(row) for row in TABLE.values()} == {len(STATES)}


@pytest.mark.parametrize("state", STATES, ids=str)
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_every_state(name: str, state: ExecutionState | None) -> None:
    history = given(*HISTORIES[state])
    expected = TABLE[name][STATES.index(state)]
    before = len(history.log)

    asked = history.when(COMMANDS[name])

    if isinstance(expected, RefusalCode):
        asked.then_refused(expected)
        assert len(history.log) == before
        return
    asked.then(*expected)
    end = state
    for event in expected:
        end = target(end, event)
    assert asked.state.state is end


@pytest.mark.parametrize("state", STATES, ids=str)
@pytest.mark.parametrize("name", COMMANDS)
def test_what_was_carried_out_once_is_a_repeat_the_second_time(
    name: str, state: ExecutionState | None
) -> None:
    outcome = TABLE[name][STATES.index(state)]
    if isinstance(outcome, RefusalCode) or name == "claim":
        return  # Each claim is a new one, and what was refused is refused again.
    history = given(*HISTORIES[state])
    command = COMMANDS[name](None if state is None else history.state)

    history.when(lambda _state: command)
    history.when(lambda _state: command).then_repeated()


WHILE_PENDING: dict[str, tuple[Ask, Ask, type[Event]]] = {
    "retract": (grant("ann"), retract("ann"), DecisionRetracted),
    "take back": (delegate("dora", "ann"), take_back("ann"), DelegationTakenBack),
    "unclaim": (claim_approval("ann"), unclaim_approval("ann"), ApprovalUnclaimed),
}


@pytest.mark.parametrize("name", WHILE_PENDING)
def test_what_was_said_is_taken_back_while_it_is_pending(name: str) -> None:
    said, back, event = WHILE_PENDING[name]
    asked = given().when(start()).when(request(policy=policy(needs("finance", count=2))))
    history = asked.when(said).when(back).then(event)

    history.when(back).then_repeated()
    assert history.state.state is WAIT
