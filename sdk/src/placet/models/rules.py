"""What the service takes, and what its events do.

Generated from the server by `python -m tests.sdk.models.generate`. Do not edit.
"""

from datetime import timedelta

from placet.models.enums import ApprovalStatus, ExecutionState, RefusalCode

MAX_NAME = 200
"""Characters of a key or name, which are all printable."""

MAX_TITLE = 500
"""Characters of an approval's title."""

MAX_TEXT = 10_000
"""Characters of any other text: a description, comment, reason, error."""

MAX_JSON_BYTES = 262_144
"""Bytes of one JSON value, encoded without spaces."""

MAX_PAGE = 500
"""Items of one page."""

MAX_COMMANDS = 256
"""Commands of one `submit`."""

MAX_DECISIONS = 100
"""Decisions of one `grantApprovals` or `rejectApprovals`."""

MAX_CLAIMS = 500
"""Executions that one `claimExecutions` gives."""

MAX_HOLDING = 10_000
"""Executions that a poll may name as held."""

MAX_WAIT = timedelta(seconds=20)
"""The longest time for which an answer is put off."""

MIN_LEASE = timedelta(seconds=1)
"""The shortest lease of a worker."""

DEFAULT_LEASE = timedelta(seconds=30)
"""The lease of a worker that asks for none."""

MAX_BODY_BYTES = 1_048_576
"""Bytes of a request's body, unless the server is configured otherwise."""

MAX_OPERATIONS = 1_000
"""Operations that are open at once on one WebSocket."""

PROTOCOL = "graphql-transport-ws"
"""The subprotocol of WebSockets."""

TRANSITIONS: dict[str, dict[ExecutionState | None, ExecutionState]] = {
    "Started": {None: ExecutionState.RUNNING},
    "Claimed": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RESUMED,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "StepCompleted": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RUNNING,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "StepFailed": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RUNNING,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "ApprovalRequested": {
        ExecutionState.RUNNING: ExecutionState.WAITING_APPROVAL,
        ExecutionState.RESUMED: ExecutionState.WAITING_APPROVAL,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "ApprovalGranted": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalRejected": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalExpired": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalWithdrawn": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalDelegated": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalEscalated": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "Resumed": {ExecutionState.WAITING_APPROVAL: ExecutionState.RESUMED},
    "ApprovalRedeemed": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RUNNING,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "TimerSet": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RUNNING,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "TimerFired": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RESUMED,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "TimerCancelled": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RUNNING,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "SignalReceived": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RESUMED,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "ChildStarted": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RUNNING,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "ChildEnded": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RESUMED,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "Suspended": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RUNNING,
    },
    "Parked": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RESUMED,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "Unparked": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RESUMED,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "Completed": {
        ExecutionState.RUNNING: ExecutionState.COMPLETED,
        ExecutionState.RESUMED: ExecutionState.COMPLETED,
    },
    "Failed": {
        ExecutionState.RUNNING: ExecutionState.FAILED,
        ExecutionState.RESUMED: ExecutionState.FAILED,
        ExecutionState.WAITING_APPROVAL: ExecutionState.FAILED,
    },
    "Cancelled": {
        ExecutionState.RUNNING: ExecutionState.CANCELLED,
        ExecutionState.RESUMED: ExecutionState.CANCELLED,
        ExecutionState.WAITING_APPROVAL: ExecutionState.CANCELLED,
    },
    "Retried": {ExecutionState.FAILED: ExecutionState.RUNNING},
}
"""For each event: from a state (None: not started) to the state after it."""

RESOLVED_BY = {
    ApprovalStatus.GRANTED: "ApprovalGranted",
    ApprovalStatus.REJECTED: "ApprovalRejected",
    ApprovalStatus.EXPIRED: "ApprovalExpired",
    ApprovalStatus.WITHDRAWN: "ApprovalWithdrawn",
}
"""The event that gives an approval this status."""

WAKING = frozenset(
    {
        "ApprovalGranted",
        "ApprovalRejected",
        "ApprovalExpired",
        "ApprovalWithdrawn",
        "TimerFired",
        "SignalReceived",
        "ChildEnded",
        "Unparked",
    }
)
"""Events that give a waiting worker something to do."""

RETRIABLE_REFUSALS = frozenset({RefusalCode.OVERLOADED, RefusalCode.OUTCOME_UNKNOWN})
"""Refusals after which the same command may be accepted a little later."""
