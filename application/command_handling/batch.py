"""Decides the requests of one commit in order. Does no input or output."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
import structlog

from application.command_handling.outcomes import Accepted, Outcome, Refused
from application.command_handling.requests import Request, RequestGroup
from application.event_store.chained_events import ChainedEvent, Head, advance
from application.event_store.side_tables import (
    ClaimRow,
    LostHoldRow,
    SideTableRows,
    StartKeyRow,
    changed_hold,
    changed_timers,
)
from domain.aggregates import Aggregate, decide, first_version
from domain.approvals.commands import (
    ApprovalCommand,
    RequestApproval,
)
from domain.approvals.rounds import requested_by, rounds_of
from domain.execution.commands import (
    ClaimExecution,
    Command,
    StartExecution,
)
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Cancelled,
    Claimed,
    Completed,
    Failed,
    Parked,
    Recorded,
)
from domain.execution.state import Execution
from domain.refusals import Refusal, RefusalCode
from domain.serialization.event_codec import GENESIS_HASH, encode, hash_of

_log = structlog.get_logger(__name__)

ENDS = (Completed, Failed, Cancelled)


class StartKey(NamedTuple):
    """The idempotency key of a start. It is unique for its owner and workflow."""

    owner: str
    workflow: str
    key: str


class Hold(msgspec.Struct, frozen=True):
    """Which worker holds an execution. ``alive``: the worker's lease has not expired."""

    owner: str | None
    worker: str | None
    alive: bool
    released_version: int


_FREE = Hold(None, None, alive=False, released_version=0)


class Repeat(NamedTuple):
    """A request that was carried out before, at this version of the execution."""

    execution_id: UUID
    version: int


class EventPosition(NamedTuple):
    """The position of an event in the log, its hash, and its time, None if it can't be read."""

    position: int
    hash: str
    at: datetime | None


def start_key(command: Command) -> StartKey | None:
    """Return the start key of a command, None if it has none or its input is invalid."""
    if isinstance(command, StartExecution) and command.key is not None and not command.problem:
        return StartKey(command.by.id, command.workflow, command.key)
    return None


class CommandBatch:
    """Decides requests one after the other, each on the state that the one before left.

    ``now`` is the time of the events; an event is never older than the one before it in its
    execution. ``damaged`` has the executions that can't be read, with the error; requests for them
    fail with it. These are set by :meth:`decide_all`:

    - ``appended``: the events to insert, and ``folded``: the head after each of them
    - ``touched``: the executions with new events
    - ``started``: the new start keys
    - ``claimed``: which worker now holds an execution, and ``lost``: which one held it before
    - ``ended`` and ``parked``: the executions that were ended or parked

    :meth:`outcomes` returns the answers once the positions are known.
    """

    def __init__(
        self,
        heads: dict[UUID, Head],
        keys: dict[StartKey, UUID],
        holds: dict[UUID, Hold],
        damaged: dict[UUID, Exception],
        now: datetime,
    ) -> None:
        self.heads = heads
        self.before = dict(heads)
        self.appended: list[ChainedEvent] = []
        self.folded: list[Head] = []
        self.touched: set[UUID] = set()
        self.started: dict[StartKey, UUID] = {}
        self.claimed: dict[UUID, tuple[str, str, int]] = {}
        self.lost: list[tuple[str, str, UUID]] = []
        self.ended: set[UUID] = set()
        self.parked: set[UUID] = set()
        self.repeats: set[Repeat] = set()
        self._keys = keys
        self._holds = holds
        self._damaged = damaged
        self._answers: dict[RequestGroup, list[_Answer]] = {}
        self.now = now

    def decide_all(self, groups: Sequence[RequestGroup]) -> None:
        """Decide every request of every group, in order."""
        for group in groups:
            self._answers[group] = self._decide_group(group)

    def outcomes(
        self, positions: Sequence[int], repeats: dict[Repeat, EventPosition]
    ) -> dict[RequestGroup, list[Outcome]]:
        """Return the outcomes of each group, given the positions of the events and repeats."""
        return {
            group: [answer.outcome(positions, repeats) for answer in answers]
            for group, answers in self._answers.items()
        }

    def side_table_rows(self) -> SideTableRows:
        """Return the rows of the side tables that the decisions change."""
        rows = SideTableRows(
            started=[StartKeyRow(*key, id_) for key, id_ in self.started.items()],
            ended=self.ended,
            parked=self.parked,
            claimed=[ClaimRow(id_, *claim) for id_, claim in self.claimed.items()],
            lost=[LostHoldRow(*lost) for lost in self.lost],
        )
        for id_ in self.touched:
            before, after = self.before.get(id_), self.heads[id_].state
            if not isinstance(after, Execution):
                rows.add(None if before is None else before.state, after)
                continue
            state = None if before is None else before.execution
            # The row of an ended execution is deleted first. A retry in the same batch inserts it.
            if hold := changed_hold(None if id_ in self.ended else state, after):
                rows.holds.append(hold)
            put, dropped = changed_timers(state, after)
            rows.timers += put
            rows.timers_dropped += dropped
        # Rows are always locked in this order, so that no two transactions wait for each other.
        rows.people.sort(key=lambda row: row.id)
        rows.api_keys.sort(key=lambda row: row.name)
        rows.calendars.sort(key=lambda row: row.name)
        return rows

    def _decide_group(self, group: RequestGroup) -> list["_Answer"]:
        answers: list[_Answer] = []
        refused: set[UUID] = set()
        for request in group.requests:
            execution_id = self._stream_of(request.command)
            # A start whose key exists already is about the earlier execution, not the id it names.
            affected = (execution_id, request.command.execution_id)
            if refused and not refused.isdisjoint(affected):
                answer = self._skipped(execution_id)
            else:
                answer = self._decide_one(execution_id, request)
            if group.chained and (answer.refusal or answer.fault) is not None:
                refused.update(affected)
            answers.append(answer)
        return answers

    def _stream_of(self, command: Command) -> UUID:
        key = start_key(command)
        if key is None:
            return command.execution_id
        return self._keys.get(key, command.execution_id)

    def _skipped(self, execution_id: UUID) -> "_Answer":
        head = self.heads.get(execution_id)
        return _Answer(
            refusal=Refusal(
                RefusalCode.SKIPPED,
                "an earlier command of this execution in the same request was refused or failed",
            ),
            state=None if head is None else head.state,
        )

    def _decide_one(self, execution_id: UUID, request: Request) -> "_Answer":
        command, head = request.command, self.heads.get(execution_id)
        state = None if head is None else head.state
        mark = len(self.appended)
        try:
            self._check_damage(execution_id)
            if isinstance(command, ClaimExecution) and self._is_abandoned(execution_id):
                command = msgspec.structs.replace(command, takes_over=True)
            events = decide(state, command, self._time_after(head))
            if isinstance(command, ClaimExecution) and isinstance(state, Execution):
                self._check_hold(state)
            for event in events:
                head = self._append(execution_id, head, event, request)
        except Refusal as refusal:
            return _Answer(refusal=refusal, state=state, ordinal=_ordinal(state, command))
        except Exception as error:  # noqa: BLE001 - it is the caller's answer
            # A bug that one request runs into must not fail the others.
            _log.exception("decide_failed", command=type(command).__name__, id=str(execution_id))
            del self.appended[mark:]
            del self.folded[mark:]
            return _Answer(fault=error)
        assert head is not None
        if not events:
            assert state is not None
            repeat = Repeat(execution_id, first_version(state, command))
            self.repeats.add(repeat)
            return _Answer(repeat=repeat, state=state, ordinal=_ordinal(state, command))
        self.heads[execution_id] = head
        self.touched.add(execution_id)
        self._note_effects(execution_id, request, events)
        return _Answer(
            index=len(self.appended) - 1,
            hash=head.hash,
            state=head.state,
            ordinal=_ordinal(head.state, command),
        )

    def _note_effects(
        self, execution_id: UUID, request: Request, events: tuple[Event, ...]
    ) -> None:
        if key := start_key(request.command):
            self._keys[key] = self.started[key] = execution_id
        for event in events:
            if isinstance(event, Claimed):
                self._note_claim(execution_id, request.command.by.id, event.worker, event.fence)
            elif isinstance(event, ENDS):
                # Noted here, because after a retry in the same batch the state does not show it.
                self.ended.add(execution_id)
                self._free(execution_id)
            elif isinstance(event, Parked):
                self.parked.add(execution_id)
                self._free(execution_id)

    def _free(self, execution_id: UUID) -> None:
        self._holds[execution_id] = _FREE
        self.claimed.pop(execution_id, None)

    def _append(
        self, execution_id: UUID, head: Head | None, event: Event, request: Request
    ) -> Head:
        recorded = Recorded(
            execution_id=execution_id,
            version=1 if head is None else head.version + 1,
            at=self._time_after(head),
            actor=request.command.by.actor,
            command_id=request.command_id,
            correlation_id=execution_id,
            causation_id=request.causation_id,
            trace=request.trace,
            previous_hash=GENESIS_HASH if head is None else head.hash,
            event=event,
        )
        stored = encode(recorded)
        chained = ChainedEvent(
            recorded=recorded,
            topic=event.topic,
            stored=stored,
            hash=hash_of(execution_id, recorded.version, event.topic, stored),
        )
        folded = advance(head, chained)
        self.appended.append(chained)
        self.folded.append(folded)
        return folded

    def _time_after(self, head: Head | None) -> datetime:
        """The times of a stream never decrease, also if the clock was set back."""
        return self.now if head is None else max(self.now, head.state.updated_at)

    def _check_damage(self, execution_id: UUID) -> None:
        if damage := self._damaged.get(execution_id):
            raise damage

    def _check_hold(self, state: Execution) -> None:
        hold = self._holds.get(state.id, _FREE)
        if hold.worker is not None:
            if not hold.alive:
                return
            message = f"{state.id} is held by the worker {hold.worker!r}"
        elif state.workable or state.woken_version > hold.released_version:
            return
        else:
            message = f"{state.id} is {state.state}: there is no work to do on it yet"
        raise Refusal(RefusalCode.INVALID_TRANSITION, message)

    def _is_abandoned(self, execution_id: UUID) -> bool:
        hold = self._holds.get(execution_id, _FREE)
        return hold.worker is not None and not hold.alive

    def _note_claim(self, execution_id: UUID, owner: str, worker: str, fence: int) -> None:
        hold = self._holds.get(execution_id)
        if hold is not None and hold.owner is not None and hold.worker is not None:
            before, after = (hold.owner, hold.worker), (owner, worker)
            if before != after:
                self.lost.append((*before, execution_id))
        self._holds[execution_id] = Hold(owner, worker, alive=True, released_version=0)
        self.claimed[execution_id] = (owner, worker, fence)


def _ordinal(state: Aggregate | None, command: Command) -> int | None:
    if isinstance(command, ApprovalCommand):
        return command.ordinal
    if isinstance(command, RequestApproval) and isinstance(state, Execution):
        approval = requested_by(state, command) or next(rounds_of(state, command.key), None)
        return None if approval is None else approval.ordinal
    return None


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one request, to become an outcome once the positions are known."""

    refusal: Refusal | None = None
    fault: Exception | None = None
    index: int = -1
    hash: str = ""
    repeat: Repeat | None = None
    state: Aggregate | None = None
    ordinal: int | None = None

    def outcome(self, positions: Sequence[int], repeats: dict[Repeat, EventPosition]) -> Outcome:
        if self.fault is not None:
            return self.fault
        if self.refusal is not None:
            return Refused(
                code=self.refusal.code,
                message=self.refusal.message,
                state=self.state,
                ordinal=self.ordinal,
            )
        assert self.state is not None
        if self.repeat is None:
            position, hash_, at = positions[self.index], self.hash, self.state.updated_at
        else:
            position, hash_, first_at = repeats[self.repeat]
            at = first_at or self.state.updated_at
        return Accepted(
            position=position,
            hash=hash_,
            at=at,
            repeated=self.repeat is not None,
            state=self.state,
            ordinal=self.ordinal,
        )
