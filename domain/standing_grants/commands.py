"""The commands about standing grants: those of people, and those of the server.

``execution_id`` of a command is the id of the stream, so here it is that of the grant.
"""

from datetime import datetime, timedelta
from typing import Any, ClassVar

from domain import json_schemas, validation
from domain.execution.commands import Command
from domain.identifiers import ApprovalId
from domain.validation import Problem, first, optional

MAX_USES = 1_000
MAX_LIFETIME = timedelta(days=90)


class StandingGrantCommand(Command, frozen=True, kw_only=True):
    """Base of the commands about a standing grant."""


class CreateStandingGrant(StandingGrantCommand, frozen=True, kw_only=True):
    """Allow approvals in advance. ``payload_schema`` says which payloads, as JSON Schema.

    ``key`` is that of the approvals, None for any. The id of the grant follows from the caller and
    ``idempotency_key``, see :func:`domain.identifiers.standing_grant_id`.
    """

    workflow: str
    key: str | None = None
    payload_schema: Any
    max_uses: int
    expires_at: datetime
    comment: str
    idempotency_key: str | None = None

    def check(self) -> Problem:
        return first(
            validation.name(self.workflow, "workflow"),
            optional(validation.name, self.key, "key"),
            self._check_uses(),
            validation.required_text(self.comment, "comment"),
            optional(validation.name, self.idempotency_key, "idempotencyKey"),
            json_schemas.problem(self.payload_schema, "payloadSchema"),
        )

    def _check_uses(self) -> Problem:
        if 1 <= self.max_uses <= MAX_USES:
            return None
        return f"maxUses is {self.max_uses}, it must be from 1 to {MAX_USES}"


class RevokeStandingGrant(StandingGrantCommand, frozen=True, kw_only=True):
    """End a standing grant at once."""

    reason: str

    def check(self) -> Problem:
        return validation.required_text(self.reason, "reason")


class UseStandingGrant(StandingGrantCommand, frozen=True, kw_only=True):
    """Take one use for an approval with this digest. Only the server sends this."""

    needs_exact_time: ClassVar[bool] = True
    approval_id: ApprovalId
    asked_version: int
    digest: str


class ReturnStandingGrantUse(StandingGrantCommand, frozen=True, kw_only=True):
    """Give a use back that the approval refused. Only the server sends this."""

    approval_id: ApprovalId
    asked_version: int
    reason: str
