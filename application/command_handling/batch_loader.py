"""One attempt to decide a batch's commands, on what is known of the log or under its lock."""

from collections.abc import Sequence
from uuid import UUID

from application.command_handling.batch import CommandBatch, StartKey, start_key
from application.command_handling.requests import RequestGroup
from application.command_handling.unit_of_work import Situation, UnitOfWork
from application.event_store.head_loader import LATEST, load_heads
from application.event_store.recorded import DAMAGE, BrokenChainError, Head, advance, logged
from application.event_store.snapshots import SNAPSHOT_INTERVAL
from application.event_store.state_cache import StateCache
from domain.execution.commands import ClaimExecution, StartExecution

LONG = 2 * SNAPSHOT_INTERVAL


class BatchLoader:
    """Gathers the heads that the calls are about, from the cache and else from the log.

    Begin with :meth:`gather`. Raises psycopg errors; nothing was recorded then. ``diverged``: the
    log was found to have other events than those that were seen.
    """

    def __init__(
        self, unit_of_work: UnitOfWork, cache: StateCache, calls: Sequence[RequestGroup]
    ) -> None:
        self._unit_of_work = unit_of_work
        self._cache = cache
        self._calls = calls
        self._commands = [request.command for call in calls for request in call.requests]
        self._keys = [key for command in self._commands if (key := start_key(command))]
        self._ids = {command.execution_id for command in self._commands}
        self._mapped: dict[StartKey, UUID] = {}
        self._heads: dict[UUID, Head] = {}
        self._damaged: dict[UUID, Exception] = {}
        self.diverged = False

    async def gather(self) -> None:
        """Find the heads."""
        # As a rule these do not exist yet; one that does is found under the lock.
        new = {c.execution_id for c in self._commands if isinstance(c, StartExecution)}
        await self._unit_of_work.connect()
        if self._keys:
            self._mapped = await self._unit_of_work.mapped(self._keys)
            self._ids.update(self._mapped.values())
            new.difference_update(self._mapped.values())
        cold: set[UUID] = set()
        for id_ in self._ids:
            if (head := self._cache.get(id_)) is not None:
                self._heads[id_] = head
            elif id_ not in new:
                cold.add(id_)
        if cold:
            await self._load(cold)

    @property
    def heads(self) -> dict[UUID, Head | None]:
        """What :meth:`foreseen` takes for the last head of each execution, None for none."""
        return {id_: self._heads.get(id_) for id_ in self._ids}

    def foreseen(self) -> CommandBatch | None:
        """Decide as if nothing had changed since the heads were seen; the commit has to see to it.

        None if it takes the lock to know. Who holds an execution changes without an event when it
        is given back, so that is known of those only that were never claimed. A timer must not
        fire, or seem to, before its time, as it might by a time that is a little behind.
        """
        now = self._unit_of_work.time.now()
        if now is None or self._damaged:
            return None
        for command in self._commands:
            if command.needs_exact_time:
                return None
            if isinstance(command, ClaimExecution):
                head = self._heads.get(command.execution_id)
                if head is not None and head.execution.fence:
                    return None
        batch = CommandBatch(dict(self._heads), dict(self._mapped), {}, damaged={}, now=now)
        batch.decide_all(self._calls)
        return batch

    async def under_lock(self) -> CommandBatch:
        """Take the lock, fold in what other processes added, and decide."""
        claims = [c.execution_id for c in self._commands if isinstance(c, ClaimExecution)]
        situation = await self._unit_of_work.begin(self._ids, self._keys, claims)
        long = {
            id_
            for id_, (version, _) in situation.last.items()
            if version > LONG and id_ not in self._heads and id_ not in self._damaged
        }
        if long:
            # Folding these would take too long while all others wait for the lock.
            await self._unit_of_work.rollback()
            await self._load(long)
            situation = await self._unit_of_work.begin(self._ids, self._keys, claims)
        await self._catch_up(situation)
        batch = CommandBatch(
            self._heads, situation.keys, situation.holds, damaged=self._damaged, now=situation.now
        )
        batch.decide_all(self._calls)
        return batch

    async def _load(self, ids: set[UUID]) -> None:
        """Load cold streams, many in two round trips."""
        loaded = await self._unit_of_work.load(load_heads(dict.fromkeys(ids, LATEST)))
        for id_, head in loaded.items():
            if isinstance(head, Exception):
                self._damaged[id_] = head
            else:
                self._heads[id_] = head

    async def _catch_up(self, situation: Situation) -> None:
        """Fold in what other processes added, under the lock."""
        self._drop_diverged(situation)
        known = {id_: head.version for id_, head in self._heads.items()}
        behind = {
            id_: known.get(id_, 0)
            for id_ in {*situation.last, *situation.keys.values()}
            if id_ not in known or known[id_] != situation.last[id_][0]
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
        # Where events follow another one than was seen, the log alone is asked.
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

    def _drop_diverged(self, situation: Situation) -> None:
        """Drop heads of which a database that took over has fewer events, or others."""
        for execution_id, head in list(self._heads.items()):
            version, hash_ = situation.last.get(execution_id, (0, ""))
            if head.version > version or (head.version == version and head.hash != hash_):
                del self._heads[execution_id]
                self.diverged = True
