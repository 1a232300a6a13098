"""Matches what a workflow asks for with the recorded events, live and in a replay.

So a step that has a recorded result is not run again, and code that asks for something else than
was recorded is found at the first difference.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from placet._util.canonical_json import digest
from placet.approvals.clearance import clear
from placet.engine.failure_codec import failure, is_final
from placet.engine.history import MARKER, RESOLUTIONS, TOLD, Event
from placet.engine.pending import Pending, PendingApproval, PendingChild, PendingStep, PendingTimer
from placet.errors import ChildFailed, Nondeterministic, NotCleared
from placet.models.enums import ExecutionState
from placet.models.responses import ApprovalRecord

A = TypeVar("A", bound=Pending)


class ReplayMatcher:
    """Gives a workflow the results that it waits for, by the events of the log.

    ``open``: what it waits for, by key, in the order in which it began to wait. ``given_up``: what
    it has stopped waiting for and the service has not taken back yet. ``asked``: the approvals of
    which it wants to know the id, by key. ``keys``: all keys that were used.
    """

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.open: dict[str, Pending] = {}
        self.given_up: dict[str, Pending] = {}
        self.asked: dict[str, PendingApproval] = {}
        self._signals: dict[str, deque[Any]] = {}
        self._listening: dict[str, deque[asyncio.Future[Any]]] = {}

    def __str__(self) -> str:
        """Name what the workflow waits for."""
        waits = [*map(str, self.open.values()), *(f"signal {n!r}" for n in self._listened())]
        return ", ".join(waits) or "nothing"

    @property
    def awaited(self) -> bool:
        """Whether the workflow waits for anything."""
        return bool(self.open or self._listened())

    def waits_for(self, kind: type[Pending]) -> bool:
        """Whether the workflow waits for something of a kind."""
        return any(isinstance(each, kind) for each in self.open.values())

    def signal(self, name: str, future: "asyncio.Future[Any]") -> None:
        """Set a future to the next signal of a name."""
        if signals := self._signals.get(name):
            future.set_result(signals.popleft())
        else:
            self._listening.setdefault(name, deque()).append(future)

    def _listened(self) -> list[str]:
        return [n for n, waiting in self._listening.items() if any(not f.done() for f in waiting)]

    def apply(self, event: Event) -> None:
        """Deliver an event. Raises Nondeterministic if the workflow did not ask for it."""
        data = event.data
        match event.type:
            case "StepCompleted" if data["key"].startswith(TOLD):
                self._tell(data["key"].removeprefix(TOLD))
            case "StepCompleted" if not data["key"].startswith(MARKER):
                self._complete(event, self._find(event, PendingStep, data["key"]))
            case "StepFailed":
                self._fail(event, self._find(event, Pending, data["key"]))
            case "ApprovalRequested":
                self._requested(event, self._find(event, PendingApproval, data["key"]))
            case "TimerSet" | "TimerFired" | "TimerCancelled":
                self._timed(event, self._find(event, PendingTimer, data["key"]))
            case "ChildStarted" | "ChildEnded":
                self._child(event, self._find(event, PendingChild, data["key"]))
            case "SignalReceived":
                self._receive(data["name"], data["payload"])
            case _ if event.type in RESOLUTIONS and event.approval is not None:
                approval = event.approval
                self._resolved(self._find(event, PendingApproval, approval.key), approval)

    def _find(self, event: Event, kind: type[A], key: str) -> A | None:
        """Return what the workflow waits for under a key, None if it has stopped waiting."""
        pending = self.open.get(key) or self.given_up.get(key)
        if pending is None and key in self.keys:
            return None
        if not isinstance(pending, kind):
            msg = (
                f"the record goes on with {describe(event)}, but the workflow asks for {self}:"
                " its code was changed under a running execution, or it asks for another each time"
            )
            raise Nondeterministic(msg)
        return pending

    def _tell(self, approval_id: str) -> None:
        for pending in self.asked.values():
            if pending.approval_id == approval_id and pending.untold:
                assert pending.told is not None
                pending.told.set_result(approval_id)

    def _complete(self, event: Event, pending: PendingStep | None) -> None:
        if pending is None:
            return
        check_recorded_name(pending, event.data["name"])
        self._resolve(pending, _typed(pending, pending.read, event.data["result"]))

    def _fail(self, event: Event, pending: Pending | None) -> None:
        if pending is None:
            return
        text = event.data["error"]
        if isinstance(pending, PendingStep):
            check_recorded_name(pending, event.data["name"])
            pending.failures += 1
            if pending.failures < pending.attempts and not is_final(text):
                return
        self._reject(pending, failure(pending.key, text))

    def _requested(self, event: Event, pending: PendingApproval | None) -> None:
        if pending is None or event.approval is None:
            return
        changed = _changed(pending, event.approval, event.data["policy"])
        if changed:
            msg = f"{pending} was asked for with another {changed} (version {event.version})"
            raise Nondeterministic(msg)
        pending.known = True
        pending.approval_id = event.approval.id

    def _resolved(self, pending: PendingApproval | None, approval: ApprovalRecord) -> None:
        if pending is None:
            return
        # A replay must show it as it was the first time: not redeemed yet.
        approval = msgspec.structs.replace(approval, redeemed_at=None)
        try:
            clearance = clear(approval)
        except NotCleared as refused:
            self._reject(pending, refused)
        else:
            self._resolve(pending, clearance)

    def _timed(self, event: Event, pending: PendingTimer | None) -> None:
        if pending is None:
            return
        pending.known = True
        if event.type == "TimerFired":
            self._resolve(pending, None)
        elif event.type == "TimerCancelled":
            if pending.open:
                msg = (
                    f"{pending} was cancelled (version {event.version}), the workflow waits for it"
                )
                raise Nondeterministic(msg)
            self._over(pending)

    def _child(self, event: Event, pending: PendingChild | None) -> None:
        if pending is None:
            return
        if event.type == "ChildEnded":
            self._child_ended(event, pending)
            return
        wanted, was = pending.command, event.data
        same = (wanted.workflow, wanted.workflow_version, wanted.input) == (
            was["workflow"], was["workflowVersion"], was["input"],
        )  # fmt: skip
        # Earlier versions started a child without a queue on the queue "default".
        same = same and (pending.on_any_queue or wanted.queue == was["queue"])
        if not same:
            msg = f"{pending} was started with other content (version {event.version})"
            raise Nondeterministic(msg)
        pending.known = True

    def _child_ended(self, event: Event, pending: PendingChild) -> None:
        if event.data["outcome"] == ExecutionState.COMPLETED:
            self._resolve(pending, _typed(pending, pending.read, event.data["result"]))
        else:
            error = ChildFailed(pending.key, event.data["outcome"], event.data["error"])
            self._reject(pending, error)

    def _receive(self, name: str, payload: Any) -> None:
        listening = self._listening.get(name)
        while listening:
            future = listening.popleft()
            if not future.done():
                future.set_result(payload)
                return
        self._signals.setdefault(name, deque()).append(payload)

    def _resolve(self, pending: Pending, result: Any) -> None:
        if self._over(pending):
            pending.future.set_result(result)

    def _reject(self, pending: Pending, error: Exception) -> None:
        if self._over(pending):
            pending.future.set_exception(error)
        if isinstance(pending, PendingApproval) and pending.told is not None:
            # The workflow may never ask how the approval ended, which is no reason to log it.
            if pending.future.done() and not pending.future.cancelled():
                pending.future.exception()
            if pending.approval_id is None and not pending.told.done():
                # It could not even be asked for.
                pending.told.set_exception(error)

    def _over(self, pending: Pending) -> bool:
        """Note that nothing more comes. Returns whether the workflow still waits for it."""
        self.open.pop(pending.key, None)
        self.given_up.pop(pending.key, None)
        return pending.open


def describe(event: Event) -> str:
    """Describe an event for a message."""
    key = event.approval.key if event.approval is not None else event.data.get("key")
    return f"{event.type} {key!r} (version {event.version})"


def check_recorded_name(pending: PendingStep, recorded: str) -> None:
    """Raise Nondeterministic if a step is recorded under another name than it now has."""
    if recorded != pending.name:
        msg = (
            f"{pending} was recorded under the name {recorded!r}, the workflow now calls it"
            f" {pending.name!r}: what is another step needs another key"
        )
        raise Nondeterministic(msg)


def _typed(pending: Pending, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except Exception as error:
        msg = (
            f"the recorded result of {pending} is not of the type that its annotation says: {error}"
        )
        raise Nondeterministic(msg) from error


def _changed(
    pending: PendingApproval, approval: ApprovalRecord, policy: dict[str, Any]
) -> str | None:
    """Name what differs between an approval and what is asked for now."""
    request = pending.request
    if approval.erased:
        return None
    if approval.title != request.title:
        return "title"
    if approval.description != request.description:
        return "description"
    if approval.payload_digest != digest(request.payload):
        return "payload"
    if _terms(policy) != _terms(msgspec.to_builtins(request.policy)):
        return "policy"
    return None


def _terms(policy: dict[str, Any]) -> tuple[Any, ...]:
    requirements = [
        (each["count"], sorted(each.get("groups", ())), sorted(each.get("users", ())))
        for each in policy["requirements"]
    ]
    return requirements, policy["rejections"], policy["allowInitiator"]
