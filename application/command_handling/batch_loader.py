"""Loads the states for a batch of commands and decides it, with or without the log's lock."""

from collections.abc import Sequence
from uuid import UUID

from application.command_handling.batch import CommandBatch, StartKey, start_key
from application.command_handling.requests import RequestGroup
from application.command_handling.unit_of_work import LockedState, UnitOfWork
from application.event_store.chained_events import DAMAGE, BrokenChainError, Head, advance, logged
from application.event_store.head_loader import LATEST, load_heads
from application.event_store.snapshots import SNAPSHOT_INTERVAL
from application.event_store.state_cache import StateCache
from domain.approvals.commands import Decide, RedeemApproval
from domain.execution.commands import (
    ClaimExecution,
    Command,
    StartExecution,
)
from domain.execution.state import Execution

LONG = 2 * SNAPSHOT_INTERVAL


class BatchLoader:
    """Loads the heads that the commands need, from the cache or else from the log.

    Call :meth:`gather` first. Raises psycopg errors; then nothing was recorded. ``diverged``: the
    log turned out to have other events than those in memory.
    """

    def __init__(
        self, unit_of_work: UnitOfWork, cache: StateCache, groups: Sequence[RequestGroup]
    ) -> None:
        self._unit_of_work = unit_of_work
        self._cache = cache
        self._groups = groups
        self._commands = [request.command for group in groups for request in group.requests]
        self._keys = [key for command in self._commands if (key := start_key(command))]
        self._ids = {command.execution_id for command in self._commands}
        self._started: dict[StartKey, UUID] = {}
        self._heads: dict[UUID, Head] = {}
        self._damaged: dict[UUID, Exception] = {}
        self.diverged = False

    async def gather(self) -> None:
        """Load the heads."""
        # These usually do not exist yet. One that does is found under the lock.
        new = {c.execution_id for c in self._commands if isinstance(c, StartExecution)}
        await self._unit_of_work.connect()
        if self._keys:
            self._started = await self._unit_of_work.find_start_keys(self._keys)
            self._ids.update(self._started.values())
            new.difference_update(self._started.values())
        cold: set[UUID] = set()
        for id_ in self._ids:
            if (head := self._cache.get(id_)) is not None:
                self._heads[id_] = head
            elif id_ not in new:
                cold.add(id_)
        if cold:
            await self._load(cold)
        self._check_answers()

    def _check_answers(self) -> None:
        """Check answers to forms now, so that nobody waits for the log's lock meanwhile."""
        for command in self._commands:
            if isinstance(command, Decide) and command.answers is not None and not command.problem:
                head = self._heads.get(command.execution_id)
                approval = None if head is None else head.execution.approvals.get(command.ordinal)
                if approval is not None and approval.form is not None:
                    command.check_answers_to(approval.form)

    @property
    def heads(self) -> dict[UUID, Head | None]:
        """The heads that :meth:`decide_without_lock` decides on, None for an unknown execution."""
        return {id_: self._heads.get(id_) for id_ in self._ids}

    def decide_without_lock(self) -> CommandBatch | None:
        """Decide on the loaded heads. The commit must check that they are still the latest.

        Returns None if the decision needs the lock. This is so for a claim, unless the execution
        was never claimed: a release changes the holder without an event. It is also so for commands
        that need the exact time: the estimated time is a little behind, and a timer must not fire
        early, nor may a grant be redeemed that lapsed in between.
        """
        now = self._unit_of_work.clock.now()
        if now is None or self._damaged:
            return None
        for command in self._commands:
            if command.needs_exact_time or self._may_have_lapsed(command):
                return None
            if isinstance(command, ClaimExecution):
                head = self._heads.get(command.execution_id)
                if head is not None and isinstance(head.state, Execution) and head.state.fence:
                    return None
        batch = CommandBatch(dict(self._heads), dict(self._started), {}, damaged={}, now=now)
        batch.decide_all(self._groups)
        return batch

    def _may_have_lapsed(self, command: Command) -> bool:
        if not isinstance(command, RedeemApproval):
            return False
        head = self._heads.get(command.execution_id)
        if head is None or not isinstance(head.state, Execution):
            return False
        approval = head.state.approvals.get(command.ordinal)
        return approval is not None and approval.valid_until is not None

    async def decide_under_lock(self) -> CommandBatch:
        """Take the lock, fold the events that other processes appended, and decide."""
        claims = [c.execution_id for c in self._commands if isinstance(c, ClaimExecution)]
        locked = await self._unit_of_work.begin(self._ids, self._keys, claims)
        long = {
            id_
            for id_, (version, _) in locked.last.items()
            if version > LONG and id_ not in self._heads and id_ not in self._damaged
        }
        if long:
            # Folding these takes long, and under the lock all other processes would wait.
            await self._unit_of_work.rollback()
            await self._load(long)
            locked = await self._unit_of_work.begin(self._ids, self._keys, claims)
        await self._catch_up(locked)
        batch = CommandBatch(
            self._heads, locked.keys, locked.holds, damaged=self._damaged, now=locked.now
        )
        batch.decide_all(self._groups)
        return batch

    async def _load(self, ids: set[UUID]) -> None:
        """Load executions that are not in the cache, together in two round trips."""
        loaded = await self._unit_of_work.load(load_heads(dict.fromkeys(ids, LATEST)))
        for id_, head in loaded.items():
            if isinstance(head, Exception):
                self._damaged[id_] = head
            else:
                self._heads[id_] = head

    async def _catch_up(self, locked: LockedState) -> None:
        """Fold the events that other processes appended, under the lock."""
        self._drop_diverged(locked)
        known = {id_: head.version for id_, head in self._heads.items()}
        behind = {
            id_: known.get(id_, 0)
            for id_ in {*locked.last, *locked.keys.values()}
            if id_ not in known or known[id_] != locked.last[id_][0]
        }
        if not behind:
            return
        for row in await self._unit_of_work.events_after(behind):
            execution_id = row["originator_id"]
            if execution_id in self._damaged:
                continue
            try:
                self._heads[execution_id] = advance(self._heads.get(execution_id), logged(row))
            except DAMAGE as error:
                self._damaged[execution_id] = error
        # These events do not follow the one in memory, so read their executions from the log.
        broken = {
            id_
            for id_, error in self._damaged.items()
            if isinstance(error, BrokenChainError) and behind.get(id_)
        }
        if broken:
            for execution_id in broken:
                del self._damaged[execution_id], self._heads[execution_id]
            await self._load(broken)
            self.diverged = True

    def _drop_diverged(self, locked: LockedState) -> None:
        """Drop heads that contradict the log. It may be another log, after a failover."""
        for execution_id, head in list(self._heads.items()):
            version, hash_ = locked.last.get(execution_id, (0, ""))
            if head.version > version or (head.version == version and head.hash != hash_):
                del self._heads[execution_id]
                self.diverged = True
