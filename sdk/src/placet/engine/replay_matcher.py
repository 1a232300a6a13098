"""Matches what a workflow asks for with the recorded events, live and in a replay.

So a step that has a recorded result is not run again, and code that asks for something else than
was recorded is found at the first difference.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from placet._util.canonical_json import digest
from placet.approvals.clearance import Clearance, clear
from placet.engine.approval_rounds import ApprovalRounds
from placet.engine.failure_codec import failure, is_final, tried_again
from placet.engine.history import MARKER, RESOLUTIONS, TOLD, Event
from placet.engine.pending import (
    Pending,
    PendingApproval,
    PendingChild,
    PendingStep,
    PendingTimer,
    Told,
)
from placet.errors import ChildFailed, Nondeterministic, NotCleared
from placet.models.enums import ExecutionState
from placet.models.responses import ApprovalRecord
from placet.policy import Policy

A = TypeVar("A", bound=Pending)


class ReplayMatcher:
    """Gives a workflow the results that it waits for, by the events of the log.

    ``open``: what it waits for, by key, in the order in which it began to wait. ``given_up``: what
    it has stopped waiting for and the service has not taken back yet. ``asked``: the approvals and
    children of which it wants to know the id, by key. ``keys``: all keys that were used.
    ``latest``: by key, the version of the last record of a step in the history. ``rounds``: the
    approvals that were asked for, by key.
    """

    def __init__(self, latest: Mapping[str, int]) -> None:
        self._latest = latest
        self.keys: set[str] = set()
        self.rounds = ApprovalRounds()
        self.open: dict[str, Pending] = {}
        self.given_up: dict[str, Pending] = {}
        self.asked: dict[str, Pending] = {}
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

    @property
    def first_step(self) -> str | None:
        """The first step that the workflow waits for."""
        return next((str(p) for p in self.open.values() if isinstance(p, PendingStep)), None)

    def signal(self, name: str, future: "asyncio.Future[Any]") -> None:
        """Set a future to the next signal of a name."""
        if signals := self._signals.get(name):
            future.set_result(signals.popleft())
        else:
            self._listening.setdefault(name, deque()).append(future)

    @property
    def unread(self) -> dict[str, int]:
        """How many signals of each name came that the workflow did not wait for."""
        return {name: len(signals) for name, signals in self._signals.items() if signals}

    def _listened(self) -> list[str]:
        return [n for n, waiting in self._listening.items() if any(not f.done() for f in waiting)]

    def apply(self, event: Event) -> None:
        """Deliver an event. Raises Nondeterministic if the workflow did not ask for it."""
        data = event.data
        match event.type:
            case "StepCompleted" if data["key"].startswith(TOLD):
                self._tell(data["key"].removeprefix(TOLD), data["result"])
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

    def _tell(self, given_id: str, recorded: Any) -> None:
        # Earlier versions recorded the id alone.
        told = Told(**recorded) if isinstance(recorded, dict) else Told(given_id)
        for pending in self.asked.values():
            if pending.given_id == given_id and pending.untold:
                assert pending.told is not None
                pending.told.set_result(told)

    def _complete(self, event: Event, pending: PendingStep | None) -> None:
        if pending is None:
            return
        check_recorded_name(pending, event.data["name"])
        _check_arguments(pending, event)
        self._resolve(pending, _typed(pending, pending.read, event.data["result"]))

    def _fail(self, event: Event, pending: Pending | None) -> None:
        if pending is None:
            return
        text, clearance = event.data["error"], None
        if isinstance(pending, PendingStep):
            clearance = pending.clearance
            check_recorded_name(pending, event.data["name"])
            _check_arguments(pending, event)
            pending.failures += 1
            pending.failed_at = event.at
            if self._tried_again(event, pending):
                return
        error = failure(pending.key, text, None if clearance is None else clearance.approval)
        if clearance is not None:
            self.rounds.refused(clearance.approval.id, error)
        self._reject(pending, error)

    def _tried_again(self, event: Event, pending: PendingStep) -> bool:
        """Whether a failed attempt is not the last one.

        What is recorded rules, whatever number of retries the code has now.
        """
        text = event.data["error"]
        if tried_again(text) or event.version < self._latest.get(pending.key, 0):
            return True
        # Earlier versions did not record it.
        return pending.failures < pending.attempts and not is_final(text)

    def _requested(self, event: Event, pending: PendingApproval | None) -> None:
        if pending is None or event.approval is None:
            return
        changed = _changed(pending, event)
        if changed:
            msg = f"{pending} was asked for with another {changed} (version {event.version})"
            raise Nondeterministic(msg)
        pending.known = True
        pending.approval_id = event.approval.id

    def _resolved(self, pending: PendingApproval | None, approval: ApprovalRecord) -> None:
        if pending is None or pending.approval_id not in {None, approval.id}:
            return
        # A replay must show it as it was the first time: not redeemed yet.
        approval = msgspec.structs.replace(approval, redeemed_at=None)
        try:
            clearance = clear(approval)
        except NotCleared as refused:
            self._reject(pending, refused)
        else:
            try:
                payload = _typed_payload(pending, approval)
            except ValueError as unfit:
                self._reject(pending, unfit)
                return
            typed = replace(clearance, payload=payload, read=pending.read_answers)
            _check_answers(pending, typed)
            self._resolve(pending, typed)

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
        pending.child_id = was["childId"]

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
        if pending.told is not None:
            # The workflow may never ask how it ended, which is no reason to log it.
            if pending.future.done() and not pending.future.cancelled():
                pending.future.exception()
            if pending.given_id is None and not pending.told.done():
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


def _check_arguments(pending: PendingStep, event: Event) -> None:
    """Raise Nondeterministic if a step is recorded with other arguments than it now has."""
    recorded, now = event.data.get("argumentsDigest"), pending.arguments_digest
    if recorded is not None and now is not None and recorded != now:
        msg = (
            f"{pending} was recorded with other arguments (version {event.version}): the code was"
            " changed under a running execution, or it does its steps in another order or with"
            " other values each time, as in a loop over a set or with the time of day"
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


def _typed_payload(pending: PendingApproval, approval: ApprovalRecord) -> Any:
    """Return what was approved, with the types that the workflow gave it.

    Raises ValueError for an amended payload that these types can't hold as it is.
    """
    if not approval.amendments:
        return _typed(pending, pending.read, approval.payload)
    try:
        payload = pending.read(approval.payload)
        if digest(payload) == approval.payload_digest:
            return payload
        problem = "they make another payload of it"
    except Exception as error:  # noqa: BLE001 - reading runs code of the user's types
        problem = str(error)
    by = approval.amendments[-1].by.id
    msg = (
        f"{pending} was granted with a payload that {by} amended, which can't be read in the types"
        f" that it was asked for with: {problem}"
    )
    raise ValueError(msg)


def _check_answers(pending: PendingApproval, clearance: Clearance) -> None:
    """Raise Nondeterministic for answers that are not of the type of the form."""
    try:
        _ = clearance.answers
    except Exception as error:
        msg = f"the answers to {pending} are not of the type of its form: {error}"
        raise Nondeterministic(msg) from error


def _changed(pending: PendingApproval, event: Event) -> str | None:
    """Name what differs between a recorded request and what is asked for now."""
    approval, request = event.approval, pending.request
    assert approval is not None
    if approval.erased:
        return None
    if approval.title != request.title:
        return "title"
    if approval.description != request.description:
        return "description"
    # The approval has the payload as it was amended since.
    if event.data.get("payloadDigest", approval.payload_digest) != pending.payload_digest:
        return "payload"
    if approval.form != request.form:
        return "form"
    policy = msgspec.convert(event.data["policy"], Policy)
    if _comparable(policy) != _comparable(request.policy):
        return "policy"
    # Of a policy with a time, the service computes the deadline.
    if policy.within is None and _deadline(event) != request.deadline:
        return "deadline"
    return None


def _comparable(policy: Policy) -> Policy:
    """Return the policy with everything whose order has no meaning in one order."""
    requirements = (
        msgspec.structs.replace(
            each, groups=tuple(sorted(each.groups)), users=tuple(sorted(each.users))
        )
        for each in policy.requirements
    )
    return msgspec.structs.replace(
        policy,
        requirements=tuple(requirements),
        remind_before=tuple(sorted(set(policy.remind_before))),
    )


def _deadline(event: Event) -> datetime | None:
    return msgspec.convert(event.data.get("deadline"), datetime | None)
