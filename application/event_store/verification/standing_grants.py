"""Standing grants and the decisions made by them: what each of the two says of the other.

The other is somewhere else in the log, so both are looked up, some hundred at a time.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import ClassVar, NamedTuple
from uuid import UUID

from application.event_store.chained_events import DAMAGE
from application.event_store.verification.audit import NOTHING, Audit, Step, Stream
from application.event_store.verification.database import Database
from application.event_store.verification.findings import Finding
from application.event_store.verification.ordered_rows import OrderedRows
from domain import authorization
from domain.approvals.commands import use_key
from domain.approvals.events import ApprovalGranted, ApprovalRequested, Decided
from domain.approvals.state import Approval, Decision
from domain.execution.state import Execution
from domain.identifiers import ApprovalId, standing_grant_id
from domain.names import normal_set, same_name
from domain.serialization.event_codec import decode, topics_of
from domain.standing_grants.commands import MAX_LIFETIME, MAX_USES
from domain.standing_grants.events import (
    StandingGrantCreated,
    StandingGrantEvent,
    StandingGrantUsed,
    StandingGrantUseReturned,
)
from domain.standing_grants.evolve import evolve
from domain.standing_grants.matching import mismatch
from domain.standing_grants.state import StandingGrant, Use

KIND = "standing grant"
TABLE = "open_standing_grants"

_ROWS = "SELECT grant_id, expires_at FROM open_standing_grants ORDER BY grant_id"
_AT_ONCE = 500
_NOW = "SELECT clock_timestamp()"
_FOLLOWER = "SELECT position FROM projection_positions WHERE name = 'standing_grant_uses'"
_GRANTS = """
    SELECT originator_id, originator_version, topic, state, notification_id FROM execution_events
    WHERE originator_id = ANY (%s) ORDER BY originator_id, originator_version
"""
_DECISIONS = """
    SELECT originator_id, originator_version, topic, state FROM execution_events
    WHERE originator_id = ANY (%s) AND topic = ANY (%s) ORDER BY originator_id, originator_version
"""
_LINK = "the grant and the approval do not say the same of this decision"
_FORGED = "no server records this"
_OPEN = "the grant is used when it should not be, or is not used when it should"


class _Taken(NamedTuple):
    """A use as its grant has recorded it, with the position of its event."""

    stream: Stream
    use: Use
    position: int


class _Made(NamedTuple):
    """A decision as its execution has recorded it, and where its approval was requested."""

    step: Step
    decision: Decision
    execution: Execution
    approval: Approval
    requested: int


class _Granted(NamedTuple):
    """A grant that was looked up, and the positions of its events by their versions."""

    grant: StandingGrant
    positions: dict[int, int]


class StandingGrantsAudit(Audit):
    """Each use is a decision, each decision by a standing grant is a use, and none is both twice.

    Also the table of open standing grants: exactly those that are not revoked and have uses left.
    The rows of those that have expired may be missing.
    """

    streams: ClassVar[tuple[type, ...]] = (Execution, StandingGrant)

    def __init__(self) -> None:
        self._positions: dict[int, int] = {}
        self._requested: dict[int, int] = {}
        self._taken: list[_Taken] = []
        self._made: list[_Made] = []
        self._grants = self._uses = 0

    def open(self, database: Database) -> None:
        self._database = database
        self._rows = OrderedRows(database, TABLE, _ROWS)
        [(self._now,)] = database.rows(_NOW)
        found = database.rows(_FOLLOWER)
        self._follower: int = found[0][0] if found else 0

    def event(self, step: Step) -> Iterable[Finding]:
        event = step.event.recorded.event
        if step.head.version == 1:
            self._positions, self._requested = {}, {}
        if isinstance(event, ApprovalRequested):
            self._requested[event.ordinal] = step.event.position
        elif isinstance(event, Decided) and event.standing_grant_id is not None:
            self._note_decision(step, event)
        elif isinstance(event, StandingGrantEvent):
            self._positions[step.head.version] = step.event.position
            return list(_event_flaws(step, event))
        return NOTHING

    def ended(self, stream: Stream) -> Iterable[Finding]:
        state = None if stream.head is None else stream.head.state
        found: list[Finding] = []
        if stream.kind is StandingGrant:
            rows, found = self._rows.of(stream)
            if isinstance(state, StandingGrant):
                self._grants += 1
                expected = state.open and self._now < state.expires_at
                found = [*found, *_row_flaws(stream, state, [row[1] for row in rows], expected)]
                uses = sorted(state.uses.values(), key=lambda use: use.version)
                self._taken += [_Taken(stream, u, self._positions[u.version]) for u in uses]
        if len(self._taken) + len(self._made) >= _AT_ONCE:
            found = [*found, *self._look_up()]
        return found

    def close(self) -> Iterable[Finding]:
        yield from self._look_up()
        yield from self._rows.rest()

    def checked(self) -> Iterable[str]:
        yield (
            f"{self._grants} standing grants and {self._uses} uses of them: their limits, that "
            "each use is one decision of its person, and each such decision one use"
        )
        yield f"{self._rows.count} rows of {TABLE}: those not revoked, with uses left"

    def _note_decision(self, step: Step, event: Decided) -> None:
        execution = step.head.execution
        approval = execution.approvals[event.ordinal]
        requested = self._requested[event.ordinal]
        self._made.append(_Made(step, approval.decisions[-1], execution, approval, requested))

    def _look_up(self) -> Iterator[Finding]:
        taken, made = self._taken, self._made
        self._taken, self._made = [], []
        self._uses += sum(each.use.counts for each in taken)
        decided = self._decided({each.use.approval_id.execution_id for each in taken})
        for use in taken:
            yield from self._use_flaws(use, decided.get(_link(use.stream.id, use.use), 0))
        grants = self._load({each.decision.standing_grant_id for each in made})
        for each in made:
            assert each.decision.standing_grant_id is not None
            yield from _decision_flaws(each, grants.get(each.decision.standing_grant_id))

    def _use_flaws(self, taken: _Taken, decisions: int) -> Iterator[Finding]:
        use = taken.use
        expected = 1 if use.counts else 0
        # The process manager may not have come to the use yet, or may have ended before the return.
        pending = use.counts and decisions == 0 and taken.position > self._follower
        if decisions == expected or pending:
            return
        what = "counts" if use.counts else "was given back"
        message = (
            f"the use at version {use.version} {what}, and approval {use.approval_id} has "
            f"{decisions} decisions by it"
        )
        yield taken.stream.finding(KIND, message, _LINK)

    def _decided(self, ids: set[UUID]) -> dict[tuple[UUID, int, str | None], int]:
        """Count the decisions in these executions, by their approval, grant and key."""
        count: dict[tuple[UUID, int, str | None], int] = defaultdict(int)
        topics = list(topics_of(ApprovalGranted))
        for id_, version, topic, state in self._database.rows(_DECISIONS, list(ids), topics):
            try:
                event = decode(id_, version, topic, state).event
            except (*DAMAGE, TypeError):
                continue
            if isinstance(event, Decided) and event.standing_grant_id is not None:
                count[id_, event.ordinal, event.key] += 1
        return count

    def _load(self, ids: set[UUID | None]) -> dict[UUID, _Granted | None]:
        """Return the grants. None for one that can't be read, which is found itself."""
        found: dict[UUID, _Granted | None] = {}
        for id_, version, topic, state, position in self._database.rows(_GRANTS, list(ids)):
            known = found.get(id_)
            if id_ in found and known is None:
                continue
            try:
                event = decode(id_, version, topic, state)
                grant = evolve(None if known is None else known.grant, event)
            except (*DAMAGE, TypeError):
                found[id_] = None
                continue
            positions = {} if known is None else known.positions
            found[id_] = _Granted(grant, {**positions, version: position})
        return found


def _link(grant_id: UUID, use: Use) -> tuple[UUID, int, str | None]:
    execution_id, ordinal = use.approval_id
    return execution_id, ordinal, use_key(grant_id, use.asked_version)


def _event_flaws(step: Step, event: StandingGrantEvent) -> Iterator[Finding]:
    recorded = step.event.recorded
    if isinstance(event, StandingGrantUsed | StandingGrantUseReturned):
        if recorded.actor.id != authorization.SERVICE.id:
            message = f"{recorded.actor.id!r} took or returned a use"
            yield step.finding(KIND, message, "only the server itself does that")
        return
    if not isinstance(event, StandingGrantCreated):
        return
    grant = step.head.state
    assert isinstance(grant, StandingGrant)
    lifetime = event.expires_at - recorded.at
    if not 1 <= event.max_uses <= MAX_USES or not lifetime.total_seconds() > 0:
        yield step.finding(KIND, f"it allows {event.max_uses} uses for {lifetime}", _FORGED)
    elif lifetime > MAX_LIFETIME:
        yield step.finding(KIND, f"it is for {lifetime}, the limit is {MAX_LIFETIME}", _FORGED)
    if not authorization.may_decide(grant.person):
        yield step.finding(KIND, "who created it may not decide approvals", _FORGED)
    key = event.idempotency_key
    if key is not None and standing_grant_id(recorded.actor.id, key) != recorded.execution_id:
        yield step.finding(KIND, f"its id does not follow from its key {key!r}", _FORGED)


def _row_flaws(
    stream: Stream,
    grant: StandingGrant,
    rows: list[object],
    expected: bool,  # noqa: FBT001 - of one caller
) -> Iterator[Finding]:
    if expected and not rows:
        yield stream.finding(TABLE, "there is no row, but it can be used", _OPEN)
    if rows and not grant.open:
        yield stream.finding(TABLE, "there is a row, but it is revoked or used up", _OPEN)
    elif rows and rows != [grant.expires_at]:
        message = f"it expires at {grant.expires_at}, not at {rows[0]}"
        yield stream.finding(TABLE, message, _OPEN)


def _decision_flaws(made: _Made, granted: _Granted | None) -> Iterator[Finding]:
    step, decision, approval = made.step, made.decision, made.approval
    actor = step.event.recorded.actor
    if actor.id != authorization.SERVICE.id:
        message = f"{actor.id!r} decided by a standing grant"
        yield step.finding(KIND, message, "only the server itself does that")
    if granted is None:
        message = f"there is no standing grant {decision.standing_grant_id} that can be read"
        yield step.finding(KIND, message, "it was removed or changed")
        return
    grant = granted.grant
    by = [use for use in grant.uses.values() if _made_by(use, grant, approval.id, decision)]
    use = by[0] if by else None
    if use is None or not use.counts or use.digest != decision.digest:
        message = f"standing grant {grant.id} has no use for this decision"
        yield step.finding(KIND, message, _LINK)
    elif granted.positions[use.version] > step.event.position:
        message = f"standing grant {grant.id} was used only afterwards"
        yield step.finding(KIND, message, "the order of the two was changed")
    if not same_name(decision.by.id, grant.by.id):
        message = f"it counts for {decision.by.id!r}, but {grant.by.id!r} created the grant"
        yield step.finding(KIND, message, _LINK)
    own = decision.on_behalf_of is None
    if own and normal_set(decision.groups) != normal_set(grant.groups):
        message = f"it counts with the groups {decision.groups!r}, not {grant.groups!r}"
        yield step.finding(KIND, message, "the groups are those at the creation of the grant")
    if made.requested < granted.positions[1]:
        message = "the approval was requested before the standing grant was created"
        yield step.finding(KIND, message, "it allows only what comes afterwards")
    if reason := mismatch(grant, made.execution, approval):
        message = f"standing grant {grant.id} does not cover this approval: {reason}"
        yield step.finding(KIND, message, _LINK)


def _made_by(use: Use, grant: StandingGrant, approval_id: ApprovalId, decision: Decision) -> bool:
    return use.approval_id == approval_id and decision.key == use_key(grant.id, use.asked_version)
