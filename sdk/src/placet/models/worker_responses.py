"""What the service answers to workers: claims, assignments, accepted commands, and transcripts."""

from datetime import datetime
from typing import Any

import msgspec

from placet.models.responses import ApprovalRecord, Execution, ExecutionHead, ResponseModel


class Past(ResponseModel, kw_only=True, frozen=True):
    """The part of an event that a workflow's replay needs."""

    position: str
    version: int
    type: str
    at: datetime
    data: Any = None
    traceparent: str | None = None


class ClaimedTranscript(ResponseModel, kw_only=True, frozen=True):
    """What the replay of a claimed execution needs, up to ``version``."""

    version: int
    events: list[Past]
    approvals: list[ApprovalRecord]


class Claim(ResponseModel, kw_only=True, frozen=True):
    """An execution claimed for a worker, and the fencing number that its commands carry.

    ``transcript``: None if it was not asked for, or is so long that it must be read.
    """

    execution: Execution
    fence: int
    lease_expires_at: datetime
    transcript: ClaimedTranscript | None = None


class Poll(ResponseModel, kw_only=True, frozen=True):
    """What was claimed, and which of the executions that the worker named it no longer holds.

    ``parked``: those of the lost ones that are parked.
    """

    claims: list[Claim]
    lost: list[str]
    parked: list[str] = msgspec.field(default_factory=list)


class Heartbeat(ResponseModel, kw_only=True, frozen=True):
    """Until when a worker's lease lasts, and what it has lost since the last heartbeat."""

    worker: str
    lease_expires_at: datetime
    executions: int
    lost: list[str]


class Happening(Past, kw_only=True, frozen=True):
    """A TimerFired, SignalReceived or ChildEnded of an execution."""

    execution_id: str


class Transcript(ResponseModel, kw_only=True, frozen=True):
    """What a replay of an execution needs: its events by version, its approvals as requested.

    It can be stored as JSON and replayed against other code by :mod:`placet.testing`.
    """

    execution: Execution
    events: list[Past]
    approvals: list[ApprovalRecord]


class Assignment(ResponseModel, kw_only=True, frozen=True):
    """A message to a worker: one of claim, resolved, happened, ended, lost and parked is set.

    ``version``, ``position`` and ``traceparent`` are those of the event by which ``resolved`` was
    resolved.
    """

    claim: Claim | None = None
    resolved: ApprovalRecord | None = None
    happened: Happening | None = None
    version: int | None = None
    position: str | None = None
    traceparent: str | None = None
    ended: str | None = None
    lost: str | None = None
    parked: str | None = None


class ApprovalName(ResponseModel, kw_only=True, frozen=True):
    """The id of an approval."""

    id: str


class Noted(ResponseModel, kw_only=True, tag_field="__typename", tag="Accepted", frozen=True):
    """A command of an engine was carried out. Of an approval it has only the id.

    ``at``: the time of the event at ``position``, which is an earlier event if it is ``repeated``.
    """

    position: str
    at: datetime
    repeated: bool
    execution: ExecutionHead | None = None
    approval: ApprovalName | None = None
