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

MAX_DEPTH = 100
"""Levels of one JSON value."""

MAX_SAFE_INTEGER = 9_007_199_254_740_991
"""The largest whole number of JSON, without its sign."""

MAX_LABELS = 50
"""Labels of one execution."""

MAX_LABEL_VALUE = 500
"""Characters of the value of a label."""

MAX_ATTEMPT = 1_000_000
"""The number of the last attempt of a step."""

MAX_DELAY = timedelta(seconds=3.1536e09)
"""The longest delay of a timer."""

MAX_REQUIREMENTS = 20
"""Requirements of one policy."""

MAX_PEOPLE = 200
"""People whom all requirements of a policy ask for together."""

MAX_NAMED = 100
"""Groups or users that one requirement names."""

MAX_REMINDERS = 10
"""Reminders before one deadline."""

MAX_CHAIN = 3
"""How often the right to decide one approval is passed on."""

MAX_USES = 1_000
"""Uses of one standing grant."""

MAX_LIFETIME = timedelta(seconds=7.776e06)
"""The longest time for which a standing grant can be used."""

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

NO_CHARACTERS: tuple[tuple[int, int], ...] = (
    (0xD800, 0xDFFF),
    (0xFDD0, 0xFDEF),
    (0xFFFE, 0xFFFF),
    (0x1FFFE, 0x1FFFF),
    (0x2FFFE, 0x2FFFF),
    (0x3FFFE, 0x3FFFF),
    (0x4FFFE, 0x4FFFF),
    (0x5FFFE, 0x5FFFF),
    (0x6FFFE, 0x6FFFF),
    (0x7FFFE, 0x7FFFF),
    (0x8FFFE, 0x8FFFF),
    (0x9FFFE, 0x9FFFF),
    (0xAFFFE, 0xAFFFF),
    (0xBFFFE, 0xBFFFF),
    (0xCFFFE, 0xCFFFF),
    (0xDFFFE, 0xDFFFF),
    (0xEFFFE, 0xEFFFF),
    (0xFFFFE, 0xFFFFF),
    (0x10FFFE, 0x10FFFF),
)
"""Code points that no text may hold: the first and the last of each range."""

TRANSITIONS: dict[str, dict[ExecutionState | None, ExecutionState]] = {
    "Started": {None: ExecutionState.RUNNING},
    "Claimed": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RESUMED,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
    },
    "CleanUpDeclared": {
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
    "ApprovalAmended": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalGranted": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalRejected": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalChangesRequested": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "DecisionRetracted": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalRevoked": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RESUMED,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
        ExecutionState.FAILED: ExecutionState.FAILED,
    },
    "ApprovalCommented": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
        ExecutionState.RESUMED: ExecutionState.RESUMED,
        ExecutionState.COMPLETED: ExecutionState.COMPLETED,
        ExecutionState.FAILED: ExecutionState.FAILED,
        ExecutionState.CANCELLED: ExecutionState.CANCELLED,
    },
    "ApprovalClaimed": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalUnclaimed": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalExpired": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalWithdrawn": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalDelegated": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "DelegationTakenBack": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalEscalated": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
    "ApprovalReminded": {ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL},
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
    "CancellationRequested": {
        ExecutionState.RUNNING: ExecutionState.RUNNING,
        ExecutionState.RESUMED: ExecutionState.RESUMED,
        ExecutionState.WAITING_APPROVAL: ExecutionState.WAITING_APPROVAL,
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
    ApprovalStatus.CHANGES_REQUESTED: "ApprovalChangesRequested",
    ApprovalStatus.REVOKED: "ApprovalRevoked",
}
"""The event that gives an approval this status."""

WAKING = frozenset(
    {
        "ApprovalGranted",
        "ApprovalRejected",
        "ApprovalChangesRequested",
        "ApprovalRevoked",
        "ApprovalExpired",
        "ApprovalWithdrawn",
        "TimerFired",
        "SignalReceived",
        "ChildEnded",
        "Unparked",
        "CancellationRequested",
    }
)
"""Events that give a waiting worker something to do."""

RETRIABLE_REFUSALS = frozenset({RefusalCode.OVERLOADED, RefusalCode.OUTCOME_UNKNOWN})
"""Refusals after which the same command may be accepted a little later."""
