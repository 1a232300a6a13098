"""What an execution waits for besides people, and what people did to it, from its events."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from placet.client.client import Client
from placet.models.commands import EventFilter
from placet.models.responses import Actor, RecordedEvent
from placet.models.rules import MAX_PAGE

ACTIONS = {
    "CancellationRequested": "told to cancel",
    "Cancelled": "cancelled",
    "Parked": "parked",
    "Unparked": "unparked",
    "Retried": "retried",
}
"""What is done to an execution, by the types of the events."""

_TYPES = (
    "TimerSet",
    "TimerFired",
    "TimerCancelled",
    "SignalReceived",
    "ChildStarted",
    "ChildEnded",
    *ACTIONS,
)


class Signal(NamedTuple):
    """A signal that came. Only the worker knows whether its workflow has asked for it."""

    name: str
    payload: Any


class Child(NamedTuple):
    """A child execution that has not ended."""

    execution_id: str
    workflow: str


class Action(NamedTuple):
    """What somebody did to the execution, and the reason that they gave."""

    done: str
    by: Actor
    at: datetime
    reason: str | None


class ExecutionWaits:
    """The timers that have not fired, the children that run, the signals and the actions."""

    def __init__(self) -> None:
        self.timers: dict[str, datetime] = {}
        self.children: dict[str, Child] = {}
        self.signals: list[Signal] = []
        self.actions: list[Action] = []

    def take(self, event: RecordedEvent) -> None:
        """Take the next event."""
        data: Mapping[str, Any] = event.data
        match event.type:
            case "TimerSet":
                self.timers[data["key"]] = _fires_at(event.at, data)
            case "TimerFired" | "TimerCancelled":
                self.timers.pop(data["key"], None)
            case "SignalReceived":
                self.signals.append(Signal(data["name"], data.get("payload")))
            case "ChildStarted":
                self.children[data["key"]] = Child(data["childId"], data["workflow"])
            case "ChildEnded":
                self.children.pop(data["key"], None)
            case type_ if type_ in ACTIONS:
                self.actions.append(
                    Action(ACTIONS[type_], event.actor, event.at, data.get("reason"))
                )


async def read_waits(client: Client, execution_id: str) -> ExecutionWaits:
    """Read what an execution waits for from the log, page by page. Raises RequestError."""
    found = ExecutionWaits()
    where, cursor = EventFilter(execution_id=execution_id, types=_TYPES), None
    while True:
        page = await client.events(where, after=cursor, first=MAX_PAGE)
        for event in page:
            # An erased event has no content left.
            if event.data is not None:
                found.take(event)
        if (cursor := page.next) is None:
            return found


def _fires_at(set_at: datetime, data: Mapping[str, Any]) -> datetime:
    if data["until"] is not None:
        return msgspec.convert(data["until"], datetime)
    return set_at + msgspec.convert(data["delay"], timedelta)
