"""Merges the two sources of a run's events into the order of the log.

Answers bring the events of the run's own commands. The worker's stream brings those of people,
timers, signals and children. Each source is in order, but neither waits for the other. The workflow
must get all events in the order of the log, or a replay would take another path.
"""

from collections.abc import Callable
from typing import NamedTuple

from placet.engine.history import Event

Deliver = Callable[[Event], None]
Soon = Callable[[Callable[[], None]], object]


class _WakeUp(NamedTuple):
    event: Event
    after: int


class _CommandAnswer(NamedTuple):
    event: Event
    woken: int


class EventOrder:
    """Delivers events in the order of their positions, as soon as nothing earlier can come.

    ``woken``: the version of the last wake-up that was delivered. ``deliver`` gets each event. It
    is called through ``soon``.
    """

    def __init__(self, woken: int, deliver: Deliver, soon: Soon) -> None:
        self.woken = woken
        self._arrived = woken
        self._deliver = deliver
        self._soon = soon
        # Lists, because they are short, and an empty deque takes ten times the memory.
        self._wakes: list[_WakeUp] = []
        self._answers: list[_CommandAnswer] = []
        self._sent = 0
        self._answered = 0
        self._flowing = False

    @property
    def waiting(self) -> bool:
        """Whether a command has no answer yet, or an event waits for one before it."""
        return self._answered < self._sent or bool(self._wakes or self._answers)

    @property
    def arrived(self) -> int:
        """The version of the last wake-up that came."""
        return self._arrived

    def sent(self) -> None:
        """Note that a command is on its way."""
        self._sent += 1

    def answered(self, event: Event | None = None, woken: int = 0) -> None:
        """Note that a command was answered, and what it recorded.

        Answers come in the order of the log. ``woken``: the version of the last wake-up that the
        service knew of when it answered.
        """
        self._answered += 1
        if event is not None:
            self._answers.append(_CommandAnswer(event, woken))
        self._flow_soon()

    def wake(self, event: Event) -> None:
        """Take a wake-up. One that has come before is ignored."""
        if event.version > self._arrived:
            self._arrived = event.version
            self._wakes.append(_WakeUp(event, self._sent))
            self._flow_soon()

    def caught_up(self, woken: int) -> None:
        """Note that every wake-up up to a version has come."""
        self._arrived = max(self._arrived, woken)
        self._flow_soon()

    def _flow_soon(self) -> None:
        if not self._flowing and (self._wakes or self._answers):
            self._flowing = True
            self._soon(self._flow)

    def _flow(self) -> None:
        try:
            while self._next():
                pass
        finally:
            self._flowing = False

    def _next(self) -> bool:
        wake = self._wakes[0] if self._wakes else None
        answer = self._answers[0] if self._answers else None
        if wake is not None and (answer is None or wake.event.position < answer.event.position):
            # What was sent before the wake-up came may have been recorded before it.
            if self._answered < wake.after:
                return False
            self._wakes.pop(0)
            self.woken = wake.event.version
            self._deliver(wake.event)
            return True
        if answer is not None and answer.woken <= self._arrived:
            self._answers.pop(0)
            self._deliver(answer.event)
            return True
        return False
