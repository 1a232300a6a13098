"""The form of the tests: given events, when a command comes, then events or a refusal.

Every event is encoded, decoded, folded and chained by its hash. So each test also shows that the
decided events can be stored and read back.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from domain.approvals.state import Approval
from domain.execution.decide import decide
from domain.execution.event import (
    Event,
)
from domain.execution.events import (
    Recorded,
)
from domain.execution.evolve import evolve
from domain.execution.state import Execution
from domain.refusals import Refusal, RefusalCode
from domain.serialization.event_codec import GENESIS_HASH, decode, encode, hash_of
from tests.domain.recording import recorded, time_of

if TYPE_CHECKING:
    from domain.values import Actor
    from tests.domain.ask import Ask
    from tests.domain.facts import Fact


class History:
    """What has happened to one execution so far."""

    def __init__(self) -> None:
        self.state: Execution | None = None
        self.log: list[Recorded] = []
        self.later = timedelta()
        self._hash = GENESIS_HASH

    @property
    def now(self) -> datetime:
        """The time of the next event."""
        return time_of(1 if self.state is None else self.state.version + 1) + self.later

    def record(self, actor: Actor, event: Event) -> None:
        """Store one event, read it back and fold it."""
        written = recorded(self.state, actor, event, previous_hash=self._hash, later=self.later)
        stored = encode(written)
        read = decode(written.execution_id, written.version, event.topic, stored)
        assert read == written
        self._hash = hash_of(written.execution_id, written.version, event.topic, stored)
        self.state = evolve(self.state, read)
        self.log.append(read)


class Given:
    """A history to which something is asked."""

    def __init__(self, history: History) -> None:
        self._history = history

    @property
    def state(self) -> Execution:
        """The execution as it stands."""
        assert self._history.state is not None, "nothing was started"
        return self._history.state

    @property
    def log(self) -> list[Recorded]:
        """All that was recorded."""
        return self._history.log

    @property
    def now(self) -> datetime:
        """The time of the next event."""
        return self._history.now

    def approval(self, ordinal: int) -> Approval:
        """The approval with this ordinal as it stands."""
        return self.state.approvals[ordinal]

    def after(self, delay: timedelta) -> Given:
        """Let this much time pass."""
        self._history.later += delay
        return self

    def when(self, ask: Ask) -> Asked:
        """Ask for something; see the ``then`` methods for what comes of it."""
        command = ask(self._history.state)
        try:
            events = decide(self._history.state, command, self._history.now)
        except Refusal as refusal:
            return Asked(self._history, (), refusal)
        for event in events:
            self._history.record(command.by.actor, event)
        return Asked(self._history, events, None)


class Asked(Given):
    """What came of asking."""

    def __init__(
        self, history: History, events: tuple[Event, ...], refusal: Refusal | None
    ) -> None:
        super().__init__(history)
        self._events = events
        self._refusal = refusal

    @property
    def recorded(self) -> tuple[Event, ...]:
        """The events that were recorded, none for a repeat or a refusal."""
        return self._events

    @property
    def refusal(self) -> Refusal | None:
        """The refusal, if it was refused."""
        return self._refusal

    def then(self, *expected: Event | type[Event]) -> Given:
        """Expect these events, given whole or by type, and no other."""
        assert self._refusal is None, f"refused: {self._refusal}"
        assert [type(event) for event in self._events] == [
            each if isinstance(each, type) else type(each) for each in expected
        ]
        for event, wanted in zip(self._events, expected, strict=True):
            assert isinstance(wanted, type) or event == wanted
        return Given(self._history)

    def then_repeated(self) -> Given:
        """Expect that nothing is recorded, because it was done before."""
        return self.then()

    def then_refused(self, code: RefusalCode, saying: str = "") -> Given:
        """Expect a refusal with this code, whose message holds these words."""
        assert self._refusal is not None, f"not refused, but recorded: {self._events}"
        assert self._refusal.code is code, f"refused otherwise: {self._refusal}"
        assert saying in self._refusal.message
        assert self._refusal.message.strip()
        return Given(self._history)


def given(*facts: Fact) -> Given:
    """Begin with these events; with none, nothing was started."""
    history = History()
    for fact in facts:
        history.record(*fact(history.state))
    return Given(history)
