"""The client: everything that the contract offers, for one service and one token."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, overload

from placet._util.serde import as_it_is, returned
from placet._util.workflow_names import WorkflowFunction, workflow_named
from placet.client import environment
from placet.client.changes import Mode
from placet.client.decisions import Decisions
from placet.client.leases import Leases
from placet.client.mutations import Mutations
from placet.client.queries import Queries
from placet.client.standing_grants import StandingGrants
from placet.client.started import Started
from placet.client.state_watch import StateWatch
from placet.client.subscriptions import Subscriptions
from placet.client.substitutes import Substitutes
from placet.client.transport.envelope import Operation, Variables
from placet.client.transport.http import HttpTransport
from placet.client.transport.reconnecting import ReconnectingWebSocket
from placet.client.transport.retry import PAUSE_SECONDS
from placet.client.transport.token_source import Token
from placet.client.waiting import Waiting
from placet.models.responses import Execution, ExecutionHead

P = ParamSpec("P")
Input = TypeVar("Input")
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


def _decisions(client: "Client") -> Decisions:
    return client.decisions


def _substitutes(client: "Client") -> Substitutes:
    return client.absences


def _grants(client: "Client") -> StandingGrants:
    return client.grants


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
    development server, from ``.placet`` in the current directory. It may be a function, sync or
    async, that gives a token: it is called when there is none yet, and when the token is refused
    or, if it is a JWT, about to end. ``timeout``: seconds for one HTTP request. ``retry_for``:
    seconds for which a request is tried again while the service is overloaded, unavailable or out
    of reach. Raises ValueError for an address that is not a URL, and if there is no token.

    The methods are those of its parts, which share one transport. Code that needs one part only,
    such as an engine, takes that part.
    """

    def __init__(
        self,
        url: str | Sequence[str] | None = None,
        token: Token | None = None,
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
        self.decisions = Decisions(self.transport)
        self.grants = StandingGrants(self.transport)
        self.absences = Substitutes(self.transport)
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

    @overload
    async def start(
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
    ) -> Started[T]: ...
    @overload
    async def start(
        self,
        workflow: Callable[[Any], Coroutine[Any, Any, T]],
        *,
        id: str | None = None,
        key: str | None = None,
        version: str | None = None,
        queue: str = "default",
        labels: Mapping[str, str] | None = None,
        on_behalf_of: str | None = None,
    ) -> Started[T]: ...
    @overload
    async def start(
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
    ) -> Started[Any]: ...
    async def start(
        self,
        workflow: str | WorkflowFunction,
        input: Any = None,  # noqa: A002 - the contract's name
        *,
        id: str | None = None,  # noqa: A002 - the contract's name
        key: str | None = None,
        version: str | None = None,
        queue: str = "default",
        labels: Mapping[str, str] | None = None,
        on_behalf_of: str | None = None,
    ) -> Started[Any]:
        """Start an execution, and return a handle for its result, for signals and to cancel it.

        ``workflow``: its name, or its function, which then gives the name, the version, and the
        type of the result. ``key``: an idempotency key, unique for the workflow and the token's
        owner. Without it the start is identified by ``id``, a UUID that is generated by default.
        Raises ValueError for an input that is not JSON.
        """
        name, registered = workflow_named(workflow)
        accepted = await self.mutations.start(
            name,
            input,
            id=id,
            key=key,
            version=version or registered,
            queue=queue,
            labels=labels,
            on_behalf_of=on_behalf_of,
        )
        read = as_it_is if isinstance(workflow, str) else returned(workflow)
        return Started(accepted, self.mutations, self.waiting, read)

    viewer = _awaited(_queries, Queries.viewer)
    execution = _awaited(_queries, Queries.execution)
    execution_after = _awaited(_queries, Queries.execution_after)
    execution_at = _awaited(_queries, Queries.execution_at)
    children = _awaited(_queries, Queries.children)
    history = _awaited(_queries, Queries.history)
    transcript = _awaited(_queries, Queries.transcript)
    executions = _awaited(_queries, Queries.executions)
    approval = _awaited(_queries, Queries.approval)
    previous_round = _awaited(_queries, Queries.previous_round)
    comments = _awaited(_queries, Queries.comments)
    approvals = _awaited(_queries, Queries.approvals)
    recorded_decisions = _awaited(_queries, Queries.recorded_decisions)
    simulate_policy = _awaited(_queries, Queries.simulate_policy)
    events = _awaited(_queries, Queries.events)

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

    grant = _awaited(_decisions, Decisions.grant)
    reject = _awaited(_decisions, Decisions.reject)
    request_changes = _awaited(_decisions, Decisions.request_changes)
    grant_many = _awaited(_decisions, Decisions.grant_many)
    reject_many = _awaited(_decisions, Decisions.reject_many)
    retract = _awaited(_decisions, Decisions.retract)
    delegate = _awaited(_decisions, Decisions.delegate)
    take_back_delegation = _awaited(_decisions, Decisions.take_back_delegation)
    revoke = _awaited(_decisions, Decisions.revoke)
    comment = _awaited(_decisions, Decisions.comment)
    claim_approval = _awaited(_decisions, Decisions.claim_approval)
    unclaim_approval = _awaited(_decisions, Decisions.unclaim_approval)

    create_standing_grant = _awaited(_grants, StandingGrants.create_standing_grant)
    revoke_standing_grant = _awaited(_grants, StandingGrants.revoke_standing_grant)
    standing_grant = _awaited(_grants, StandingGrants.standing_grant)
    standing_grants = _awaited(_grants, StandingGrants.standing_grants)
    standing_grant_uses = _awaited(_grants, StandingGrants.standing_grant_uses)

    set_substitute = _awaited(_substitutes, Substitutes.set_substitute)
    end_substitute = _awaited(_substitutes, Substitutes.end_substitute)
    substitutes = _awaited(_substitutes, Substitutes.substitutes)

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
