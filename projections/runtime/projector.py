"""Keeps the read models up with the log: a thread with a connection of its own."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from threading import Event, Thread
from typing import Any

import psycopg
import structlog
from psycopg import Connection

from application.event_store.recent_events import RecentEvents
from projections.querying.checkpoints import POSITIONS, Checkpoints
from projections.runtime.connections import connect
from projections.runtime.event_feed import BATCH, EventFeed
from projections.runtime.lag_monitor import LagMonitor
from projections.runtime.metrics import PROJECTED, STOPPED
from projections.runtime.read_model import ReadModel

POLL = 1.0
RETRY = 10.0
MAX_BACK_OFF = 5.0
PACE = 0.05
"""The seconds from one round to the next, while nobody waits and all of the log was read."""

_LOST = (psycopg.OperationalError, psycopg.InterfaceError)

log = structlog.get_logger(__name__)


class _MovedError(Exception):
    """A read model does not stand where this projector left it."""


class Projector:
    """Projects in a thread of its own, from :meth:`start` to :meth:`close`.

    ``leads`` says whether this process is the one that projects, of all on one database. Two at
    once do no harm: a position moves only from where its projector left it.

    ``recent`` has what was appended lately. ``checkpoints`` is told where the read models
    stand. ``poll`` is in seconds.
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
        self._more = False

    def start(self) -> None:
        """Begin to project."""
        self._thread.start()

    def close(self, timeout: float = 10.0) -> None:
        """End after the current batch, waiting up to ``timeout`` seconds for it."""
        self._closing.set()
        self._wake.set()
        self._checkpoints.hurry()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def wake(self) -> None:
        """Say that the log has grown. Any thread may call it."""
        self._wake.set()

    @property
    def lag(self) -> dict[str, int]:
        """By how many positions each read model was behind the log at the last look."""
        return self._lag.events

    def _run(self) -> None:
        back_off = 0.1
        while not self._closing.is_set():
            try:
                with connect(self._conninfo, application_name="placet-projector") as connection:
                    if self._recent is not None:
                        # A server that took over may lack what was appended last.
                        self._recent.forget()
                    self._open(connection)
                    back_off = 0.1
                    self._serve(connection)
            except _LOST as error:
                log.debug("projector lost the database", error=str(error), retry_in=back_off)
            except Exception:
                log.exception("projector failed", retry_in=back_off)
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
                # Others project, or did until now; or a read model may have been rebuilt meanwhile.
                self._open(connection)
            led = leads
            if leads:
                try:
                    busy = self._round(connection)
                except _MovedError:
                    # Another process projects too, for as long as it has not noticed that it
                    # does not lead any more.
                    self._open(connection)
                    busy = True
            self._lag.observe(connection, self._stands(), busy=busy)
            if not busy:
                # Whoever does not lead need not be woken.
                (self._wake if leads else self._closing).wait(self._poll)
            elif not self._more:
                # What comes meanwhile is projected together, and an execution once for all of it.
                self._checkpoints.pause(max(began + PACE - time.monotonic(), 0.0))

    def _open(self, connection: Connection[Any]) -> None:
        """Read where the read models stand, and forget the states of before."""
        found = connection.execute(POSITIONS["read"]).fetchall()
        at: dict[int, list[ReadModel]] = defaultdict(list)
        unready: dict[str, int] = {}
        for name, position, version in found:
            model = self._models.get(name)
            if model is None:
                continue
            if version != model.version:
                unready[name] = version
                continue
            at[position].append(model)
            self._checkpoints.reached(name, position)
        for name in unready.keys() - self._unready.keys():
            log.error("read model of another version", model=name, do="placet-server rebuild")
        self._unready = unready
        self._reopen_at = time.monotonic() + RETRY
        kept = {name: feed.resume_at for feed in self._feeds for name in _names(feed)}
        self._feeds = [self._feed(models, position) for position, models in at.items()]
        for feed in self._feeds:
            feed.resume_at = max(kept.get(name, 0.0) for name in _names(feed))

    def _feed(self, models: Sequence[ReadModel], position: int) -> EventFeed:
        return EventFeed(models, position, recent=self._recent)

    def _stands(self) -> dict[str, int]:
        return {name: feed.position for feed in self._feeds for name in _names(feed)}

    def _round(self, connection: Connection[Any]) -> bool:
        """Give each feed a turn. True if any of them got on."""
        now = time.monotonic()
        ready = [feed for feed in self._feeds if feed.resume_at <= now]
        busy = [self._step(connection, feed) for feed in ready]
        self._merge()
        return any(busy)

    def _step(self, connection: Connection[Any], feed: EventFeed) -> bool:
        """Fold the next events and write what changed. True if there was anything to do.

        A read model that could not be written stays behind in a feed of its own. Raises
        _MovedError if somebody else has moved one.
        """
        ahead = [other.position for other in self._feeds if other.position > feed.position]
        try:
            entries = feed.read(connection, limit=self._batch, upto=min(ahead, default=None))
            if not entries:
                return False
            folded = feed.fold(connection, entries)
        except _LOST:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of the log or the code stops the models
            self._stop(feed, error)
            return False
        self._more = self._more or len(entries) >= self._batch
        for model in tuple(feed.models):
            try:
                written = model.write(connection, folded.changes, feed.position, folded.position)
            except _LOST:
                raise
            except Exception as error:  # noqa: BLE001 - the other models go on
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

    def _stop(self, feed: EventFeed, error: Exception) -> None:
        """Leave a feed alone for a while: the fault may be mended, but not by trying at once."""
        feed.resume_at = time.monotonic() + RETRY
        for name in _names(feed):
            STOPPED.labels(name).set(1)
            log.error(
                "projection stopped",
                model=name,
                position=feed.position,
                error=f"{type(error).__name__}: {error}",
                retry_in=RETRY,
            )

    def _merge(self) -> None:
        """Let feeds go on together that have come to the same position."""
        merged: dict[tuple[int, bool], EventFeed] = {}
        now = time.monotonic()
        for feed in self._feeds:
            first = merged.setdefault((feed.position, feed.resume_at <= now), feed)
            if first is not feed:
                first.models += feed.models
                first.resume_at = max(first.resume_at, feed.resume_at)
        self._feeds = list(merged.values())


def _names(feed: EventFeed) -> list[str]:
    return [model.name for model in feed.models]
