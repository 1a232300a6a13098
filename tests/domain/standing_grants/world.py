"""Executions and standing grants together, and the two steps that the server does for them.

Every event is encoded, decoded and folded, as in ``tests.domain.scenario``.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest

from domain.aggregates import Aggregate, decide, evolve
from domain.approvals.commands import DecideInAdvance, RequestApproval
from domain.approvals.policy import Policy
from domain.approvals.state import Approval
from domain.authorization import SERVICE
from domain.execution.commands import Command, StartExecution
from domain.execution.event import Event
from domain.execution.events import Recorded
from domain.execution.state import Execution
from domain.identifiers import ApprovalId, standing_grant_id
from domain.refusals import Refusal, RefusalCode
from domain.serialization.event_codec import GENESIS_HASH, decode, encode, hash_of
from domain.standing_grants.commands import (
    CreateStandingGrant,
    ReturnStandingGrantUse,
    RevokeStandingGrant,
    UseStandingGrant,
)
from domain.standing_grants.events import StandingGrantUsed
from domain.standing_grants.matching import asks, asks_anew, that_decide
from domain.standing_grants.state import StandingGrant
from tests.domain.ask import PAYLOAD, Who, policy
from tests.domain.people import named
from tests.domain.recording import NOON

CHEAP = {"properties": {"cost": {"maximum": 150}}, "required": ["cost"]}
WEEK = timedelta(days=7)
_NAMESPACE = UUID(int=7)


class World:
    """All streams of a log. ``handled`` is how much of it the process manager has handled."""

    def __init__(self) -> None:
        self.now = NOON
        self.streams: dict[UUID, Aggregate] = {}
        self.log: list[Recorded] = []
        self.handled = 0
        self._hashes: dict[UUID, str] = {}

    def do(self, command: Command) -> tuple[Event, ...]:
        """Decide a command and record its events. Raises Refusal."""
        id_ = command.execution_id
        self.now += timedelta(milliseconds=1)
        events = decide(self.streams.get(id_), command, self.now)
        for event in events:
            self._record(command, event)
        return events

    def refuses(self, command: Command, code: RefusalCode, saying: str = "") -> None:
        """Expect a refusal with this code, whose message holds these words."""
        with pytest.raises(Refusal) as caught:
            self.do(command)
        assert caught.value.code is code, caught.value
        assert saying in caught.value.message

    def allow(self, by: Who = "ann", called: str = "allow-1", **rest: Any) -> UUID:
        """Create a standing grant, and return its id."""
        command = allow(by, called, now=self.now, **rest)
        self.do(command)
        return command.execution_id

    def grant(self, id_: UUID) -> StandingGrant:
        """Return a standing grant as it stands."""
        grant = self.streams[id_]
        assert isinstance(grant, StandingGrant)
        return grant

    def execution(self, id_: UUID) -> Execution:
        """Return an execution as it stands."""
        execution = self.streams[id_]
        assert isinstance(execution, Execution)
        return execution

    def approval(self, id_: ApprovalId) -> Approval:
        """Return an approval as it stands."""
        return self.execution(id_.execution_id).approvals[id_.ordinal]

    def request(
        self,
        key: str = "permit",
        *,
        wanted: Policy = policy(),  # noqa: B008 - a policy is immutable
        payload: Any = PAYLOAD,
        workflow: str = "travel",
        by: Who = "olivia",
        **rest: Any,
    ) -> ApprovalId:
        """Start an execution that asks for an approval, and return the id of the approval."""
        id_ = uuid5(_NAMESPACE, str(len(self.log)))
        self.do(StartExecution(by=named(by), execution_id=id_, workflow=workflow))
        self.do(
            RequestApproval(
                by=named("engine"),
                execution_id=id_,
                key=key,
                title="A trip",
                payload=payload,
                policy=wanted,
                **rest,
            )
        )
        return ApprovalId(id_, 1)

    def settle(self) -> None:
        """Let the process manager handle all that it has not handled."""
        while self.handled < len(self.log):
            self.handle_next()

    def handle_next(self) -> None:
        """Let the process manager handle the next event, with both steps that may follow."""
        recorded = self.log[self.handled]
        self.handled += 1
        self.carry_out(self.commands(recorded))

    def commands(self, recorded: Recorded) -> list[Command]:
        """Return what the process manager sends for an event."""
        if isinstance(recorded.event, StandingGrantUsed):
            return [self._decision(self.grant(recorded.execution_id), recorded.event)]
        ordinal = asks(recorded.event)
        if ordinal is None:
            return []
        execution = self._after(recorded)
        approval = execution.approvals[ordinal]
        if not asks_anew(recorded.event, approval):
            return []
        requested = self._position(execution.id, approval.requested_version)
        grants = [
            grant
            for grant in self.streams.values()
            if isinstance(grant, StandingGrant) and self._position(grant.id, 1) < requested
        ]
        return [
            UseStandingGrant(
                by=SERVICE,
                execution_id=grant.id,
                approval_id=approval.id,
                asked_version=execution.version,
                digest=approval.digest,
            )
            for grant in that_decide(grants, execution, approval, recorded.at)
        ]

    def carry_out(self, commands: list[Command]) -> None:
        """Send commands, and give back each use that is refused."""
        for command in commands:
            try:
                self.do(command)
            except Refusal as refusal:
                if isinstance(command, DecideInAdvance):
                    self.do(
                        ReturnStandingGrantUse(
                            by=SERVICE,
                            execution_id=command.grant_id,
                            approval_id=ApprovalId(command.execution_id, command.ordinal),
                            asked_version=command.asked_version,
                            reason=refusal.message,
                        )
                    )

    def _record(self, command: Command, event: Event) -> None:
        id_ = command.execution_id
        state = self.streams.get(id_)
        version = 1 if state is None else state.version + 1
        written = Recorded(
            execution_id=id_,
            version=version,
            at=self.now,
            actor=command.by.actor,
            command_id=UUID(int=len(self.log)),
            correlation_id=id_,
            previous_hash=self._hashes.get(id_, GENESIS_HASH),
            event=event,
        )
        stored = encode(written)
        read = decode(id_, version, event.topic, stored)
        assert read == written
        self._hashes[id_] = hash_of(id_, version, event.topic, stored)
        self.streams[id_] = evolve(state, read)
        self.log.append(read)

    def _after(self, recorded: Recorded) -> Execution:
        state: Aggregate | None = None
        for each in self.log:
            if each.execution_id == recorded.execution_id and each.version <= recorded.version:
                state = evolve(state, each)
        assert isinstance(state, Execution)
        return state

    def _position(self, id_: UUID, version: int) -> int:
        return next(
            position
            for position, each in enumerate(self.log)
            if (each.execution_id, each.version) == (id_, version)
        )

    def _decision(self, grant: StandingGrant, used: StandingGrantUsed) -> DecideInAdvance:
        approval_id = ApprovalId.parse(used.approval_id)
        assert approval_id is not None
        return DecideInAdvance(
            by=SERVICE,
            execution_id=approval_id.execution_id,
            ordinal=approval_id.ordinal,
            digest=used.digest,
            person=grant.person,
            grant_id=grant.id,
            asked_version=used.asked_version,
        )


def allow(
    by: Who = "ann", called: str = "allow-1", *, now: datetime = NOON, **rest: Any
) -> CreateStandingGrant:
    """Return the command that allows cheap trips ten times within a week.

    ``called`` is the idempotency key.
    """
    person = named(by)
    fields: dict[str, Any] = {
        "workflow": "travel",
        "payload_schema": CHEAP,
        "max_uses": 10,
        "expires_at": now + WEEK,
        "comment": "Cheap trips are fine",
        **rest,
    }
    return CreateStandingGrant(
        by=person,
        execution_id=standing_grant_id(person.id, called),
        idempotency_key=called,
        **fields,
    )


def revoke(id_: UUID, by: Who = "ann") -> RevokeStandingGrant:
    """Return the command that revokes a standing grant."""
    return RevokeStandingGrant(by=named(by), execution_id=id_, reason="enough")
