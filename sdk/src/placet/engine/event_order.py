"""The order of the log, put together from what comes by two ways.

A run hears of its own commands by their answers, and of people, timers, signals and children by
its worker's stream. Either way keeps its own order, and neither waits for the other; but the
workflow must be told in the order in which it was recorded, or a replay would take another way.
"""

from collections.abc import Callable
from typing import NamedTuple

from placet.engine.history import Event

Deliver = Callable[[Event, BaseException | None], None]
Soon = Callable[[Callable[[], None]], object]


class _Wake(NamedTuple):
    event: Event
    after: int


class _Answer(NamedTuple):
    event: Event
    woken: int
    cause: BaseException | None


class EventOrder:
    """Hands events on in the order of their positions, as soon as nothing earlier can come.

    ``woken`` is the version of the last wake-up handed on. ``deliver`` gets each event with the
    exception behind it, where there is one, and is called through ``soon``.
    """

    def __init__(self, woken: int, deliver: Deliver, soon: Soon) -> None:
        self.woken = woken
        self._arrived = woken
        self._deliver = deliver
        self._soon = soon
        # Lists, since they are short, and an empty deque takes ten times as much.
        self._wakes: list[_Wake] = []
        self._answers: list[_Answer] = []
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

    def answered(
        self, event: Event | None = None, woken: int = 0, cause: BaseException | None = None
    ) -> None:
        """Note that a command was answered, and what it recorded.

        Answers come in the order of the log. ``woken``: the version of the last wake-up that the
        service knew of when it answered.
        """
        self._answered += 1
        if event is not None:
            self._answers.append(_Answer(event, woken, cause))
        self._flow_soon()

    def wake(self, event: Event) -> None:
        """Take a wake-up in; one that came before is passed over."""
        if event.version > self._arrived:
            self._arrived = event.version
            self._wakes.append(_Wake(event, self._sent))
            self._flow_soon()

    def caught_up(self, woken: int) -> None:
        """Take note that every wake-up up to a version has come."""
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
            self._deliver(wake.event, None)
            return True
        if answer is not None and answer.woken <= self._arrived:
            self._answers.pop(0)
            self._deliver(answer.event, answer.cause)
            return True
        return False
