"""Requests to the writer, and the groups of requests that wait for its answers."""

from asyncio import Future, TimerHandle, get_running_loop
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

import msgspec
from opentelemetry.trace import Span

from application.command_handling.outcomes import Outcome, Refused, UnavailableError
from domain.execution.commands import Command
from domain.refusals import RefusalCode


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A command with its id, which is recorded in its events. ``trace`` is a W3C traceparent.

    ``causation_id`` is the id of the command that caused this one.
    """

    command: Command
    command_id: UUID
    causation_id: UUID | None = None
    trace: str | None = None


class Spans(Protocol):
    """The spans of the requests of a group."""

    @property
    def open_spans(self) -> Sequence[Span]:
        """The spans that have not ended."""

    def end(self, outcomes: Sequence[Outcome]) -> None:
        """End the spans, unless they have ended."""


class RequestGroup:
    """Requests that are sent together and answered together.

    ``chained``: after a refusal, later requests for the same execution are skipped. ``taken`` is
    set once the writer has begun to process the group. ``spans`` end with the answer; None without
    traces.
    """

    __slots__ = ("_timer", "chained", "future", "requests", "spans", "taken")

    def __init__(
        self, requests: Sequence[Request], *, chained: bool, spans: "Spans | None" = None
    ) -> None:
        self.requests = requests
        self.spans = spans
        self.chained = chained
        self.taken = False
        self.future: Future[list[Outcome]] = get_running_loop().create_future()
        self._timer: TimerHandle | None = None

    def expire_after(self, seconds: float, expire: Callable[["RequestGroup"], None]) -> None:
        """Call ``expire`` if there is no answer after so many seconds."""
        self._timer = get_running_loop().call_later(seconds, expire, self)

    def answer(self, outcomes: list[Outcome]) -> None:
        """Answer the caller that waits."""
        if self._timer is not None:
            self._timer.cancel()
        if self.spans is not None:
            self.spans.end(outcomes)
        if not self.future.done():
            self.future.set_result(outcomes)

    def all_refused(self, code: RefusalCode, message: str) -> list[Outcome]:
        """Return a refusal for each request."""
        return [Refused(code=code, message=message) for _ in self.requests]

    def all_unavailable(self, message: str) -> list[Outcome]:
        """Return an UnavailableError for each request."""
        return [UnavailableError(message) for _ in self.requests]
