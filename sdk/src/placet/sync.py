"""The client for code without an event loop: scripts, tasks of a scheduler, notebooks.

Each method wraps that of the async client, and a test checks that none is missing. The wrapping is
generic in the arguments and the result, so editors and type checkers see the original signature.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping, Sequence
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

import placet.client.client
import placet.client.started
import placet.client.state_watch
from placet._util.portal import Portal
from placet.client.changes import Mode
from placet.client.started import AcceptedStart
from placet.client.transport.token_source import Token
from placet.models.enums import ExecutionState
from placet.models.responses import Accepted, Execution, ExecutionHead

P = ParamSpec("P")
Input = TypeVar("Input")
T = TypeVar("T")

_Async = placet.client.client.Client
_END: Any = object()


def _blocking(
    method: Callable[Concatenate[_Async, P], Coroutine[Any, Any, T]],
) -> "Callable[Concatenate[Client, P], T]":
    @wraps(method)
    def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._loop.run(partial(method, self._client, *args, **kwargs))

    return call


def _iterating(
    method: Callable[Concatenate[_Async, P], AsyncGenerator[T, None]],
) -> "Callable[Concatenate[Client, P], Generator[T, None, None]]":
    @wraps(method)
    def iterate(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        stream = method(self._client, *args, **kwargs)
        try:
            while (item := self._loop.run(lambda: anext(stream, _END))) is not _END:
                yield item
        finally:
            # Closing the client has closed its streams already.
            if not self._loop.closed:
                self._loop.run(stream.aclose)

    return iterate


class Client:
    """A client that blocks: ``with placet.sync.Client("http://127.0.0.1:8000", token) as client:``.

    Several threads may use it at once; their calls share its connections. The process may run an
    event loop elsewhere. From its first call until it is closed the client keeps a thread with an
    event loop of its own. It can't be used on both sides of a fork: in a child process, a client
    that the parent had used raises RuntimeError. One that was only created works.

    Address and token are found as by the async client if they are not given. ``token`` may be a
    function here too.

    Streams are iterators. Close a stream that you leave early (``contextlib.closing``). Functions
    that are passed in, such as ``until`` of ``wait``, are called on the client's thread.
    """

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        token: Token | None = None,
        *,
        timeout: float = 30.0,
        retry_for: float = 30.0,
    ) -> None:
        self._again = partial(Client, url, token, timeout=timeout, retry_for=retry_for)
        self._client = _Async(url, token, timeout=timeout, retry_for=retry_for)
        self._loop = Portal(self._client.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def apart(self) -> "Client":
        """Return a client for the same service and token with connections of its own."""
        return self._again()

    def close(self) -> None:
        """Close all connections and end the thread. Calls under way in other threads fail."""
        self._loop.close()

    execute = _blocking(_Async.execute)
    execute_once = _blocking(_Async.execute_once)
    find = _blocking(_Async.find)

    @overload
    def start(
        self,
        workflow: Callable[[Any, Input], Coroutine[Any, Any, T]],
        input: Input,
        *,
        id: str | None = None,
        key: str | None = None,
        version: str | None = None,
        queue: str = "default",
        labels: Mapping[str, str] | None = None,
        on_behalf_of: str | None = None,
    ) -> "Started[T]": ...
    @overload
    def start(
        self,
        workflow: Callable[[Any], Coroutine[Any, Any, T]],
        *,
        id: str | None = None,
        key: str | None = None,
        version: str | None = None,
        queue: str = "default",
        labels: Mapping[str, str] | None = None,
        on_behalf_of: str | None = None,
    ) -> "Started[T]": ...
    @overload
    def start(
        self,
        workflow: str,
        input: Any = None,
        *,
        id: str | None = None,
        key: str | None = None,
        version: str | None = None,
        queue: str = "default",
        labels: Mapping[str, str] | None = None,
        on_behalf_of: str | None = None,
    ) -> "Started[Any]": ...
    @wraps(_Async.start)
    def start(self, *args: Any, **kwargs: Any) -> "Started[Any]":  # noqa: D102 - the original's
        started = self._loop.run(lambda: self._client.start(*args, **kwargs))
        return Started(started, self._loop)

    viewer = _blocking(_Async.viewer)
    execution = _blocking(_Async.execution)
    execution_after = _blocking(_Async.execution_after)
    execution_at = _blocking(_Async.execution_at)
    children = _blocking(_Async.children)
    history = _blocking(_Async.history)
    transcript = _blocking(_Async.transcript)
    executions = _blocking(_Async.executions)
    approval = _blocking(_Async.approval)
    previous_round = _blocking(_Async.previous_round)
    comments = _blocking(_Async.comments)
    approvals = _blocking(_Async.approvals)
    recorded_decisions = _blocking(_Async.recorded_decisions)
    simulate_policy = _blocking(_Async.simulate_policy)
    events = _blocking(_Async.events)

    record_step = _blocking(_Async.record_step)
    request_approval = _blocking(_Async.request_approval)
    withdraw = _blocking(_Async.withdraw)
    redeem = _blocking(_Async.redeem)
    set_timer = _blocking(_Async.set_timer)
    cancel_timer = _blocking(_Async.cancel_timer)
    signal = _blocking(_Async.signal)
    start_child = _blocking(_Async.start_child)
    park = _blocking(_Async.park)
    unpark = _blocking(_Async.unpark)
    complete = _blocking(_Async.complete)
    fail = _blocking(_Async.fail)
    cancel = _blocking(_Async.cancel)
    retry = _blocking(_Async.retry)
    submit = _blocking(_Async.submit)

    grant = _blocking(_Async.grant)
    reject = _blocking(_Async.reject)
    request_changes = _blocking(_Async.request_changes)
    grant_many = _blocking(_Async.grant_many)
    reject_many = _blocking(_Async.reject_many)
    retract = _blocking(_Async.retract)
    delegate = _blocking(_Async.delegate)
    take_back_delegation = _blocking(_Async.take_back_delegation)
    revoke = _blocking(_Async.revoke)
    comment = _blocking(_Async.comment)
    create_standing_grant = _blocking(_Async.create_standing_grant)
    revoke_standing_grant = _blocking(_Async.revoke_standing_grant)
    standing_grant = _blocking(_Async.standing_grant)
    standing_grants = _blocking(_Async.standing_grants)
    standing_grant_uses = _blocking(_Async.standing_grant_uses)
    set_substitute = _blocking(_Async.set_substitute)
    end_substitute = _blocking(_Async.end_substitute)
    substitutes = _blocking(_Async.substitutes)
    claim_approval = _blocking(_Async.claim_approval)
    unclaim_approval = _blocking(_Async.unclaim_approval)

    claim = _blocking(_Async.claim)
    poll = _blocking(_Async.poll)
    heartbeat = _blocking(_Async.heartbeat)
    release = _blocking(_Async.release)
    assignments = _iterating(_Async.assignments)

    execution_events = _iterating(_Async.execution_events)
    events_stream = _iterating(_Async.events_stream)
    approvals_stream = _iterating(_Async.approvals_stream)

    wait = _blocking(_Async.wait)
    wait_for = _blocking(_Async.wait_for)

    def watch(
        self,
        execution: Execution | ExecutionHead | str,
        *,
        mode: Mode = "push",
        poll: float | None = None,
    ) -> "Watch":
        """Keep an execution's state in this process, for as long as the block takes.

        ``with client.watch(execution) as watch: ...``; ``execution`` may be its id.
        """
        return Watch(self._client.watch(execution, mode=mode, poll=poll), self._loop)


class Started(AcceptedStart, Generic[T]):
    """An execution that was started, as by the async client, with methods that block."""

    def __init__(self, started: placet.client.started.Started[T], loop: Portal) -> None:
        super().__init__(started.accepted)
        self._started = started
        self._loop = loop

    def wait(
        self,
        *,
        until: Callable[[Execution], bool] | None = None,
        mode: Mode = "push",
        timeout: float | None = None,
    ) -> Execution:
        """Wait until it has ended, or until ``until`` is true; see :meth:`Client.wait`."""
        return self._loop.run(lambda: self._started.wait(until=until, mode=mode, timeout=timeout))

    def result(self, *, mode: Mode = "push", timeout: float | None = None) -> T:
        """Wait until it has ended, and return its result, or raise ExecutionFailed."""
        return self._loop.run(lambda: self._started.result(mode=mode, timeout=timeout))

    def signal(self, name: str, payload: Any = None, *, key: str | None = None) -> Accepted:
        """Send data to it. ``key``: an idempotency key for this signal; generated by default."""
        return self._loop.run(lambda: self._started.signal(name, payload, key=key))

    def cancel(self, reason: str) -> Accepted:
        """Cancel it. Its pending approvals are withdrawn."""
        return self._loop.run(lambda: self._started.cancel(reason))


class Watch:
    """A :class:`placet.client.state_watch.StateWatch` as a plain context manager."""

    def __init__(self, watch: placet.client.state_watch.StateWatch, loop: Portal) -> None:
        self._watch = watch
        self._loop = loop

    def __enter__(self) -> Self:
        self._loop.run(self._watch.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._loop.closed:
            self._loop.run(lambda: self._watch.__aexit__(kind, error, traceback))

    @property
    def state(self) -> ExecutionState:
        """The state after the last event that came. Raises what ended the watch, if anything."""
        return self._watch.state

    @property
    def version(self) -> int:
        """The version after the last event. Raises what ended the watch, if anything."""
        return self._watch.version

    def until(self, *states: ExecutionState, timeout: float | None = None) -> ExecutionState:
        """Wait for one of the states, by default for a final one, and return it.

        The execution may have left the state when the caller goes on. Raises what ended the watch,
        and TimeoutError after ``timeout`` seconds.
        """
        return self._loop.run(lambda: self._watch.until(*states, timeout=timeout))
