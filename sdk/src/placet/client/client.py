"""The client: everything that the contract offers, for one service and one token."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from placet.client import environment
from placet.client.changes import Mode
from placet.client.leases import Leases
from placet.client.mutations import Mutations
from placet.client.queries import Queries
from placet.client.state_watch import StateWatch
from placet.client.subscriptions import Subscriptions
from placet.client.transport.envelope import Operation, Variables
from placet.client.transport.http import HttpTransport
from placet.client.transport.reconnecting import ReconnectingWebSocket
from placet.client.transport.retry import PAUSE_SECONDS
from placet.client.waiting import Waiting
from placet.models.responses import Execution, ExecutionHead

P = ParamSpec("P")
T = TypeVar("T")
Part = TypeVar("Part")


def _awaited(
    part: Callable[["Client"], Part],
    method: Callable[Concatenate[Part, P], Coroutine[Any, Any, T]],
) -> "Callable[Concatenate[Client, P], Coroutine[Any, Any, T]]":
    """Make a method of a part a method of the client, with its signature and its docstring."""

    @wraps(method)
    async def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await method(part(self), *args, **kwargs)

    return call


def _streamed(
    part: Callable[["Client"], Part],
    method: Callable[Concatenate[Part, P], AsyncGenerator[T, None]],
) -> "Callable[Concatenate[Client, P], AsyncGenerator[T, None]]":
    """Do the same for a method that gives a stream."""

    @wraps(method)
    def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[T, None]:
        return method(part(self), *args, **kwargs)

    return call


def _queries(client: "Client") -> Queries:
    return client.queries


def _mutations(client: "Client") -> Mutations:
    return client.mutations


def _leases(client: "Client") -> Leases:
    return client.leases


def _subscriptions(client: "Client") -> Subscriptions:
    return client.subscriptions


def _waiting(client: "Client") -> Waiting:
    return client.waiting


class Client:
    """An async client.

    ``async with Client("http://127.0.0.1:8000", token) as client: ...``

    ``url``: the address of the service, or several, of which the next is used while one gives no
    answer; by default those in PLACET_URL (with commas between them), else
    ``http://127.0.0.1:8000``. ``token``: by default PLACET_TOKEN, else that of the operator of a
    development server, from ``.placet`` in the current directory. ``timeout``: seconds for one HTTP
    request. ``retry_for``: seconds for which a request is tried again while the service is
    overloaded, unavailable or out of reach. Raises ValueError for an address that is not a URL, and
    if there is no token.

    The methods are those of its parts, which share one transport. Code that needs one part only,
    such as an engine, takes that part.
    """

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        token: str | None = None,
        *,
        timeout: float = 30.0,
        retry_for: float = 30.0,
    ) -> None:
        service = environment.addresses(url)
        self._token = environment.token(token, "operator", service)
        self._timeout = timeout
        self.transport = HttpTransport(service, self._token, timeout=timeout, retry_for=retry_for)
        self.queries = Queries(self.transport)
        self.mutations = Mutations(self.transport)
        self.leases = Leases(self.transport)
        self.subscriptions = Subscriptions(self.transport, self.queries)
        self.waiting = Waiting(self.transport, self.queries)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def apart(self) -> Self:
        """Return a client for the same service and token with connections of its own."""
        return type(self)(
            self.transport.addresses.all,
            self._token,
            timeout=self._timeout,
            retry_for=self.retry_for,
        )

    async def close(self) -> None:
        """End all streams and connections. The client can't be used afterwards."""
        await self.transport.close()

    @property
    def url(self) -> str:
        """Where the service takes GraphQL: of several addresses the one in use."""
        return self.transport.url

    @property
    def retry_for(self) -> float:
        """For how many seconds a request is tried again."""
        return self.transport.retry_for

    @retry_for.setter
    def retry_for(self, seconds: float) -> None:
        self.transport.retry_for = seconds

    @property
    def socket(self) -> ReconnectingWebSocket:
        """The WebSocket that streams and commands share, opened when it is needed."""
        return self.transport.socket

    async def execute(
        self,
        operation: Operation[..., T],
        variables: Variables | None = None,
        *,
        idempotent: bool = True,
        pause: float = PAUSE_SECONDS,
    ) -> T:
        """Send a query or mutation and return its result. Raises RequestError.

        ``pause``: the longest pause between two attempts, in seconds. An operation that is not
        idempotent is sent once, and by HTTP, because a server that shuts down still answers there.
        """
        bound = operation.bind(variables or {})
        return await self.transport.send(bound, idempotent=idempotent, pause=pause)

    async def execute_once(
        self, operation: Operation[..., T], variables: Variables | None = None
    ) -> T:
        """Send a query or mutation a single time. Raises RequestError."""
        return await self.transport.send_once(operation.bind(variables or {}))

    async def find(
        self, operation: Operation[..., T], variables: Variables, *, wait: float = 0
    ) -> T | None:
        """Send a query that may find nothing. Raises RequestError.

        ``wait``: for how many seconds the service may put off its answer.
        """
        return await self.transport.look_up(operation.bind(variables), wait=wait)

    viewer = _awaited(_queries, Queries.viewer)
    execution = _awaited(_queries, Queries.execution)
    execution_after = _awaited(_queries, Queries.execution_after)
    execution_at = _awaited(_queries, Queries.execution_at)
    history = _awaited(_queries, Queries.history)
    transcript = _awaited(_queries, Queries.transcript)
    executions = _awaited(_queries, Queries.executions)
    approval = _awaited(_queries, Queries.approval)
    approvals = _awaited(_queries, Queries.approvals)
    events = _awaited(_queries, Queries.events)

    start = _awaited(_mutations, Mutations.start)
    record_step = _awaited(_mutations, Mutations.record_step)
    request_approval = _awaited(_mutations, Mutations.request_approval)
    withdraw = _awaited(_mutations, Mutations.withdraw)
    redeem = _awaited(_mutations, Mutations.redeem)
    set_timer = _awaited(_mutations, Mutations.set_timer)
    cancel_timer = _awaited(_mutations, Mutations.cancel_timer)
    signal = _awaited(_mutations, Mutations.signal)
    start_child = _awaited(_mutations, Mutations.start_child)
    park = _awaited(_mutations, Mutations.park)
    unpark = _awaited(_mutations, Mutations.unpark)
    complete = _awaited(_mutations, Mutations.complete)
    fail = _awaited(_mutations, Mutations.fail)
    cancel = _awaited(_mutations, Mutations.cancel)
    retry = _awaited(_mutations, Mutations.retry)
    submit = _awaited(_mutations, Mutations.submit)

    grant = _awaited(_mutations, Mutations.grant)
    reject = _awaited(_mutations, Mutations.reject)
    grant_many = _awaited(_mutations, Mutations.grant_many)
    reject_many = _awaited(_mutations, Mutations.reject_many)

    claim = _awaited(_leases, Leases.claim)
    poll = _awaited(_leases, Leases.poll)
    heartbeat = _awaited(_leases, Leases.heartbeat)
    release = _awaited(_leases, Leases.release)
    assignments = _streamed(_leases, Leases.assignments)

    execution_events = _streamed(_subscriptions, Subscriptions.execution_events)
    events_stream = _streamed(_subscriptions, Subscriptions.events_stream)
    approvals_stream = _streamed(_subscriptions, Subscriptions.approvals_stream)

    wait = _awaited(_waiting, Waiting.wait)
    wait_for = _awaited(_waiting, Waiting.wait_for)

    def watch(
        self,
        execution: Execution | ExecutionHead | str,
        *,
        mode: Mode = "push",
        poll: float | None = None,
    ) -> StateWatch:
        """Keep an execution's state in this process, for as long as the block takes.

        ``async with client.watch(execution) as watch: ...``; ``execution`` may be its id.
        """
        return self.waiting.watch(execution, mode=mode, poll=poll)
