"""The process manager of standing grants: uses them for the approvals that they allow in advance.

It does so in two steps, each caused by an event of the log. When an approval asks people, it takes
a use of each grant that decides it (UseStandingGrant). When a use was taken, it decides the
approval (DecideInAdvance). If the approval refuses the decision, it gives the use back.

It knows the grants that can still be used, by their workflow. An event of an execution whose
workflow none of them is for costs a look into a dictionary.
"""

from uuid import UUID

import structlog

from application import metrics
from application.command_handling.outcomes import Refused
from application.event_store.chained_events import DAMAGE, LoggedEvent
from application.process_managers.log_process_manager import LogProcessManager
from domain.approvals.commands import DecideInAdvance
from domain.authorization import SERVICE
from domain.execution.commands import Command
from domain.execution.state import Execution
from domain.identifiers import ApprovalId
from domain.names import folded
from domain.standing_grants.commands import ReturnStandingGrantUse, UseStandingGrant
from domain.standing_grants.events import (
    StandingGrantCreated,
    StandingGrantEvent,
    StandingGrantRevoked,
    StandingGrantUsed,
    StandingGrantUseReturned,
)
from domain.standing_grants.matching import asks, asks_anew, that_decide
from domain.standing_grants.state import StandingGrant

_log = structlog.get_logger(__name__)

# A day later than they expire, because the clock may be wrong for a while.
_DELETE_EXPIRED = """
    DELETE FROM open_standing_grants WHERE expires_at < clock_timestamp() - interval '1 day'
"""
_OPEN = "SELECT grant_id FROM open_standing_grants"
_DEACTIVATED = "SELECT id FROM people WHERE NOT active"


class StandingGrantProcessManager(LogProcessManager):
    """Follows the log and sends commands to standing grants and executions."""

    name = "standing_grant_uses"
    skipped = metrics.GRANTS_SKIPPED

    # By workflow and id, the position at which each grant was created, in the order of creation.
    _created: dict[str, dict[UUID, int]]

    async def prepare(self) -> None:
        """Read which grants are open."""
        async with self._pool.connection() as connection:
            await connection.execute(_DELETE_EXPIRED)
            rows = await (await connection.execute(_OPEN)).fetchall()
        self._created = {}
        found = []
        for (grant_id,) in rows:
            try:
                found += await self._reader.history(grant_id, limit=1)
            except DAMAGE as error:
                _log.error("standing_grant_damaged", id=str(grant_id), error=str(error))
        for created in sorted(found, key=lambda event: event.position):
            self._add(created)

    async def commands(self, event: LoggedEvent) -> list[Command]:
        """Return the commands that an event causes."""
        if isinstance(event.recorded.event, StandingGrantEvent):
            return await self._after_grant_event(event, event.recorded.event)
        ordinal = asks(event.recorded.event) if self._created else None
        if ordinal is None:
            return []
        execution = await self._reader.after(event)
        if not asks_anew(event.recorded.event, execution.approvals[ordinal]):
            return []
        return await self._uses(execution, ordinal)

    async def after_refusal(self, command: Command, refused: Refused) -> list[Command]:
        """Give a use back that was refused, or take another grant in place of one that is over."""
        if isinstance(command, DecideInAdvance):
            return [
                ReturnStandingGrantUse(
                    by=SERVICE,
                    execution_id=command.grant_id,
                    approval_id=ApprovalId(command.execution_id, command.ordinal),
                    asked_version=command.asked_version,
                    reason=refused.message,
                )
            ]
        if not isinstance(command, UseStandingGrant):
            return []
        self._drop(command.execution_id)
        execution_id, ordinal = command.approval_id
        if not self._created:
            return []
        execution = await self._reader.past.at_version(execution_id, command.asked_version)
        return [] if execution is None else await self._uses(execution, ordinal)

    async def _after_grant_event(
        self, event: LoggedEvent, happened: StandingGrantEvent
    ) -> list[Command]:
        grant_id = event.recorded.execution_id
        match happened:
            case StandingGrantCreated():
                self._add(event)
            case StandingGrantRevoked():
                self._drop(grant_id)
            case StandingGrantUseReturned():
                [created] = await self._reader.history(grant_id, limit=1)
                self._add(created)
            case StandingGrantUsed():
                grant = await self._reader.standing_grant(grant_id)
                assert grant is not None
                if not grant.open:
                    self._drop(grant_id)
                return [_decision(grant, happened)]
        return []

    async def _uses(self, execution: Execution, ordinal: int) -> list[Command]:
        """Return the commands that take uses for an approval, which asks at this version."""
        created = self._created.get(execution.workflow)
        if not created:
            return []
        approval = execution.approvals[ordinal]
        [request] = await self._reader.versions(execution.id, [approval.requested_version])
        known = await self._reader.aggregates(
            id_ for id_, position in created.items() if position < request.position
        )
        grants = await self._of_active([g for g in known if isinstance(g, StandingGrant)])
        for grant in grants:
            if not grant.open or grant.expires_at <= execution.updated_at:
                self._drop(grant.id)
        return [
            UseStandingGrant(
                by=SERVICE,
                execution_id=grant.id,
                approval_id=approval.id,
                asked_version=execution.version,
                digest=approval.digest,
            )
            for grant in that_decide(grants, execution, approval, execution.updated_at)
        ]

    async def _of_active(self, grants: list[StandingGrant]) -> list[StandingGrant]:
        """Leave out those of deactivated people, in each spelling of their ids.

        They count again once the person does.
        """
        if not grants:
            return []
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(_DEACTIVATED)).fetchall()
        deactivated = {folded(id_) for (id_,) in rows}
        return [grant for grant in grants if folded(grant.by.id) not in deactivated]

    def _add(self, created: LoggedEvent) -> None:
        event = created.recorded.event
        assert isinstance(event, StandingGrantCreated)
        of_workflow = self._created.setdefault(event.workflow, {})
        of_workflow[created.recorded.execution_id] = created.position

    def _drop(self, grant_id: UUID) -> None:
        for workflow, of_workflow in list(self._created.items()):
            if of_workflow.pop(grant_id, None) is not None and not of_workflow:
                del self._created[workflow]


def _decision(grant: StandingGrant, used: StandingGrantUsed) -> DecideInAdvance:
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
