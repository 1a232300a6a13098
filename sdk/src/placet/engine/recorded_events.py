"""The recorded events of a replay, in the order in which its workflow is given them."""

from collections.abc import Iterator, Mapping, Sequence

from placet.engine.history import Event, ExecutionHistory


class RecordedEvents:
    """Where a replay is in the recorded events of its execution.

    ``left``: how many of those that are given in order the workflow was not given yet.
    ``between``: by key, those that it is given when it asks for their key.
    """

    __slots__ = ("_events", "_next", "between", "left")

    def __init__(self, history: ExecutionHistory) -> None:
        self.left = len(history.first) + len(history.last)
        self.between: dict[str, Sequence[Event]] = {}
        self._events: Sequence[Event] = ()
        self._next = 0

    def begin(self, events: Sequence[Event]) -> None:
        """Give these next."""
        self._events, self._next = events, 0

    def keep_between(self, between: Mapping[str, Sequence[Event]]) -> None:
        """Keep these until their key is asked for."""
        self.between = dict(between)

    def __iter__(self) -> Iterator[Event]:
        """Give the events in order, but for those that the workflow takes by itself meanwhile."""
        while self._next < len(self._events):
            event = self._events[self._next]
            self.taken()
            yield event

    def taken(self) -> None:
        """Note that the workflow was given the next event."""
        self._next += 1
        self.left -= 1

    def next_result_of(self, key: str, name: str, digest: str | None) -> Event | None:
        """Return the next event if it is the result of this step.

        ``digest``: that of its arguments.
        """
        if self._next >= len(self._events) or self.between:
            return None
        event = self._events[self._next]
        if event.type != "StepCompleted":
            return None
        data = event.data
        if data["key"] != key or data["name"] != name:
            return None
        recorded = data.get("argumentsDigest")
        if recorded != digest and None not in (recorded, digest):
            return None
        return event

    def of_key(self, key: str) -> Sequence[Event]:
        """Take what is kept under a key: of an approval, its next round."""
        first, *others = self.between.pop(key)
        rest: Sequence[Event] = others
        following = next((n for n, e in enumerate(rest) if e.type == "ApprovalRequested"), None)
        if following is not None:
            self.between[key], rest = rest[following:], rest[:following]
        return (first, *rest)
