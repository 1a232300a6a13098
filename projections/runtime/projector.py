"""The projector: a thread that keeps the read models up to date, on its own connection."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Event, Thread
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import structlog
from psycopg import Connection

from application.event_store.recent_events import RecentEvents
from projections.querying.checkpoints import POSITIONS, Checkpoints
from projections.runtime.connections import connect
from projections.runtime.event_feed import BATCH, EventFeed
from projections.runtime.failures import Failures
from projections.runtime.lag_monitor import LagMonitor
from projections.runtime.metrics import PROJECTED, STOPPED
from projections.runtime.read_model import ReadModel

POLL = 1.0
RETRY = 10.0
MAX_BACK_OFF = 5.0
HEAL = 30.0
"""The seconds between attempts to project executions that could not be read."""
HEAL_AT_ONCE = 20
PACE = 0.05
"""The seconds between rounds, unless a query waits or more of the log is left to read."""

_LOST = (psycopg.OperationalError, psycopg.InterfaceError)

_log = structlog.get_logger(__name__)


class ModelStatus(NamedTuple):
    """How a read model stands.

    It is ``events`` and ``seconds`` behind the log. ``stopped``: its tables can't be written at the
    moment. ``other_version``: the version of its tables, if it is not that of this program.
    ``unreadable``: how many executions can't be projected.
    """

    name: str
    events: int
    seconds: float
    stopped: bool
    other_version: int | None
    unreadable: int


class _MovedError(Exception):
    """The position of a read model was changed by another process."""


class _Group(NamedTuple):
    """What read models have in common that can be projected by one feed."""

    position: int
    failed: frozenset[tuple[UUID, int]]

    @classmethod
    def of(cls, position: int, failed: Mapping[UUID, int]) -> "_Group":
        return cls(position, frozenset(failed.items()))


class Projector:
    """Projects in a separate thread, from :meth:`start` to :meth:`close`.

    ``leads`` returns whether this process is the leader; only the leader projects. Two projectors
    at once are harmless, because a read model is written only if it is at the position that its
    projector expects.

    ``recent`` has the latest events. The positions that the read models reach are reported to
    ``checkpoints``. ``poll`` is in seconds.
    """

    def __init__(
        self,
        conninfo: str,
        models: Iterable[ReadModel],
        *,
        leads: Callable[[], bool] = lambda: True,
        recent: RecentEvents | None = None,
        checkpoints: Checkpoints | None = None,
        batch: int = BATCH,
        poll: float = POLL,
    ) -> None:
        self._conninfo = conninfo
        self._leads = leads
        self._recent = recent
        self._checkpoints = checkpoints or Checkpoints()
        self._models = {model.name: model for model in models}
        self._batch = batch
        self._poll = poll
        self._wake = Event()
        self._closing = Event()
        self._thread = Thread(target=self._run, name="placet-projector", daemon=True)
        self._feeds: list[EventFeed] = []
        self._unready: dict[str, int] = {}
        self._reopen_at = 0.0
        self._lag = LagMonitor(self._models)
        self._failures = Failures(self._models)
        self._heal_at = 0.0
        self._tried: UUID | None = None
        self._more = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self, timeout: float = 10.0) -> None:
        """Stop after the current batch. Waits up to ``timeout`` seconds for it."""
        self._closing.set()
        self._wake.set()
        self._checkpoints.end_pause()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def wake(self) -> None:
        """Signal that there are new events. Any thread may call it."""
        self._wake.set()

    @property
    def lag(self) -> dict[str, int]:
        """By how many positions each read model was behind the log when it was last measured."""
        return self._lag.events

    def status(self) -> list[ModelStatus]:
        """Return how each read model stands."""
        now, seconds = time.monotonic(), self.behind(0)
        paused = {n for feed in tuple(self._feeds) if feed.resume_at > now for n in _names(feed)}
        return [
            ModelStatus(
                name=name,
                events=self.lag[name],
                seconds=seconds.get(name, 0.0),
                stopped=name in paused,
                other_version=self._unready.get(name),
                unreadable=len(self._failures.of(name)),
            )
            for name in self._models
        ]

    def behind(self, seconds: float) -> dict[str, float]:
        """Return the read models that have lacked an event for longer, and for how many seconds.

        If the projector hangs, for example because it waits for a lock, nothing is known of events
        since then, and all of them count as behind.
        """
        unknown = time.monotonic() - self._lag.looked_at
        lags = {name: max(lag, unknown) for name, lag in self._lag.seconds.items()}
        return {name: lag for name, lag in lags.items() if lag > seconds}

    def _run(self) -> None:
        back_off = 0.1
        while not self._closing.is_set():
            try:
                with connect(self._conninfo, application_name="placet-projector") as connection:
                    if self._recent is not None:
                        # After a failover, the new PostgreSQL may lack the latest events.
                        self._recent.forget()
                    self._open(connection)
                    back_off = 0.1
                    self._serve(connection)
            except _LOST as error:
                _log.debug("projector_unreachable", error=str(error), retry_in=back_off)
            except Exception:  # noqa: BLE001 - logged, and it goes on
                _log.exception("projector_failed", retry_in=back_off)
            self._closing.wait(back_off)
            back_off = min(back_off * 2, MAX_BACK_OFF)

    def _serve(self, connection: Connection[Any]) -> None:
        led = False
        while not self._closing.is_set():
            self._wake.clear()
            began = time.monotonic()
            busy = self._more = False
            leads = self._leads()
            if leads is not led or not leads or (self._unready and began >= self._reopen_at):
                # Another process projects, or did until now, or a read model may have been rebuilt.
                self._open(connection)
            if leads and not led:
                self._heal_at = began
            led = leads
            if leads:
                try:
                    self._heal(connection)
                    busy = self._round(connection)
                except _MovedError:
                    # Another process also projects, because it has not noticed yet that it is no
                    # longer the leader.
                    self._open(connection)
                    busy = True
            self._lag.observe(connection, self._positions(), busy=busy)
            if not busy:
                # Only the leader needs to be woken by new events.
                (self._wake if leads else self._closing).wait(self._poll)
            elif not self._more:
                # The events of the pause are projected together, so each execution is written once.
                self._checkpoints.pause(max(began + PACE - time.monotonic(), 0.0))

    def _open(self, connection: Connection[Any]) -> None:
        """Read the positions of the read models, and make new feeds for them."""
        self._failures.load(connection)
        found = connection.execute(POSITIONS["read"]).fetchall()
        at: dict[_Group, list[ReadModel]] = defaultdict(list)
        unready: dict[str, int] = {}
        for name, position, version in found:
            model = self._models.get(name)
            if model is None:
                continue
            if version != model.version:
                unready[name] = version
                continue
            at[_Group.of(position, self._failures.of(name))].append(model)
            self._checkpoints.reached(name, position)
        for name in unready.keys() - self._unready.keys():
            _log.error("read_model_version_differs", model=name, do="placet-server rebuild")
        self._unready = unready
        self._reopen_at = time.monotonic() + RETRY
        kept = {name: feed.resume_at for feed in self._feeds for name in _names(feed)}
        self._feeds = [self._feed(models, group.position) for group, models in at.items()]
        for feed in self._feeds:
            feed.resume_at = max(kept.get(name, 0.0) for name in _names(feed))

    def _feed(self, models: Sequence[ReadModel], position: int) -> EventFeed:
        failed = self._failures.of(models[0].name)
        return EventFeed(models, position, recent=self._recent, failed=failed)

    def _positions(self) -> dict[str, int]:
        return {name: feed.position for feed in self._feeds for name in _names(feed)}

    def _round(self, connection: Connection[Any]) -> bool:
        """Run one step of each feed. True if there was anything to do."""
        now = time.monotonic()
        ready = [feed for feed in self._feeds if feed.resume_at <= now]
        busy = [self._step(connection, feed) for feed in ready]
        self._merge()
        return any(busy)

    def _step(self, connection: Connection[Any], feed: EventFeed) -> bool:
        """Fold the next events and write the changes. True if there was anything to do.

        A read model that could not be written stays behind, in a separate feed. Raises _MovedError
        if another process has changed the position of a read model.
        """
        ahead = [other.position for other in self._feeds if other.position > feed.position]
        try:
            entries = feed.read(connection, limit=self._batch, upto=min(ahead, default=None))
            if not entries:
                return False
            folded = feed.fold(connection, entries)
            if folded.failures:
                self._failures.add(connection, _names(feed), folded.failures)
        except _LOST:
            raise
        except Exception as error:  # noqa: BLE001 - logged; it stops the models of this feed
            self._stop(feed, error)
            return False
        self._more = self._more or len(entries) >= self._batch
        for model in tuple(feed.models):
            try:
                written = model.write(connection, folded.changes, feed.position, folded.position)
            except _LOST:
                raise
            except Exception as error:  # noqa: BLE001 - logged; the other models continue
                feed.models.remove(model)
                behind = self._feed([model], feed.position)
                self._feeds.append(behind)
                self._stop(behind, error)
                continue
            if not written:
                raise _MovedError
            self._checkpoints.reached(model.name, folded.position)
            PROJECTED.labels(model.name).inc(len(entries))
            STOPPED.labels(model.name).set(0)
        if feed.models:
            feed.accept(folded)
        else:
            self._feeds.remove(feed)
        return True

    def _heal(self, connection: Connection[Any]) -> None:
        """Try some of the executions that failed again, after a start and at intervals.

        A server of another version may be able to read them, or somebody may have repaired them.
        Raises _MovedError if another process has changed the position of a read model.
        """
        now = time.monotonic()
        if now < self._heal_at:
            return
        self._heal_at = now + HEAL
        failed = sorted({id_ for feed in self._feeds for id_ in feed.failed})
        later = [id_ for id_ in failed if self._tried is None or id_ > self._tried]
        for id_ in (later or failed)[:HEAL_AT_ONCE]:
            self._tried = id_
            for feed in self._feeds:
                if id_ in feed.failed:
                    self._project_again(connection, feed, id_)
        self._merge()

    def _project_again(self, connection: Connection[Any], feed: EventFeed, id_: UUID) -> None:
        change = feed.fold_again(connection, id_)
        if change is None:
            return
        # In one transaction, because a read model may have rows that must not be written twice.
        with connection.transaction():
            for model in feed.models:
                if not model.write(connection, [change], feed.position, feed.position):
                    raise _MovedError
            self._failures.remove(connection, _names(feed), id_)
        del feed.failed[id_]

    def _stop(self, feed: EventFeed, error: Exception) -> None:
        """Log an error, and let the feed pause before it tries again."""
        feed.resume_at = time.monotonic() + RETRY
        for name in _names(feed):
            STOPPED.labels(name).set(1)
            _log.error(
                "projection_stopped",
                model=name,
                position=feed.position,
                error=f"{type(error).__name__}: {error}",
                retry_in=RETRY,
            )

    def _merge(self) -> None:
        """Merge feeds that have reached the same position."""
        merged: dict[tuple[_Group, bool], EventFeed] = {}
        now = time.monotonic()
        for feed in self._feeds:
            group = _Group.of(feed.position, feed.failed)
            first = merged.setdefault((group, feed.resume_at <= now), feed)
            if first is not feed:
                first.models += feed.models
                first.resume_at = max(first.resume_at, feed.resume_at)
        self._feeds = list(merged.values())


def _names(feed: EventFeed) -> list[str]:
    return [model.name for model in feed.models]
