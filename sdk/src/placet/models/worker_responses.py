"""What the service answers to workers: claims, assignments, accepted commands, and transcripts."""

from datetime import datetime
from typing import Any

from placet.models.responses import ApprovalRecord, Execution, ExecutionHead, ResponseModel


class Claim(ResponseModel, kw_only=True, frozen=True):
    """An execution claimed for a worker, and the fencing number that its commands carry."""

    execution: Execution
    fence: int
    lease_expires_at: datetime


class Poll(ResponseModel, kw_only=True, frozen=True):
    """What was claimed, and which of the executions that the worker named it no longer holds."""

    claims: list[Claim]
    lost: list[str]


class Heartbeat(ResponseModel, kw_only=True, frozen=True):
    """Until when a worker's lease lasts, and what it has lost since the last heartbeat."""

    worker: str
    lease_expires_at: datetime
    executions: int
    lost: list[str]


class Past(ResponseModel, kw_only=True, frozen=True):
    """The part of an event that a workflow's replay needs."""

    position: str
    version: int
    type: str
    at: datetime
    data: Any = None


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
    """A message to a worker: one of claim, resolved, happened, ended and lost is set.

    ``version`` and ``position`` are those of the event by which ``resolved`` was resolved.
    """

    claim: Claim | None = None
    resolved: ApprovalRecord | None = None
    happened: Happening | None = None
    version: int | None = None
    position: str | None = None
    ended: str | None = None
    lost: str | None = None


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
