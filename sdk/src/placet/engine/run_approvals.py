"""The approvals that a workflow asks for."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from inspect import isawaitable
from typing import Any, NamedTuple, TypeVar, overload

from msgspec.structs import replace

from placet._util.forms import Form, form_of
from placet._util.read_back import reader_like, recorded
from placet.approvals.clearance import Clearance
from placet.engine.pending import PendingApproval
from placet.engine.run_backend import RunPart
from placet.errors import ChangesRequested
from placet.models.commands import RequestApproval
from placet.policy import Policy

P = TypeVar("P")
A = TypeVar("A")


class Asked:
    """An approval that was asked for. ``id`` is that of the approval, ``key`` the workflow's.

    ``address`` is the page of the console on which people decide, see ``public_url`` of
    :class:`placet.Engine`. A step can send both somewhere.
    """

    def __init__(self, key: str, id_: str, address: str, future: "asyncio.Future[Any]") -> None:
        self.key = key
        self.id = id_
        self.address = address
        self._future = future

    async def clearance(self) -> Clearance:
        """Wait for the decision. Raises Rejected, Expired, Withdrawn or ChangesRequested.

        If the workflow stops waiting, for example because of a timeout, the approval is withdrawn.
        """
        clearance: Clearance = await self._future
        return clearance


class RunApprovals(RunPart):
    """Asks people for approval."""

    @overload
    def approval(
        self,
        title: str,
        *,
        payload: P,
        policy: Policy,
        form: type[A],
        key: str | None = None,
        description: str | None = None,
        within: timedelta | None = None,
        deadline: datetime | None = None,
        revise: "Callable[[P, ChangesRequested], P | Awaitable[P]] | None" = None,
    ) -> Coroutine[Any, Any, Clearance[A]]: ...

    @overload
    def approval(
        self,
        title: str,
        *,
        payload: P,
        policy: Policy,
        form: Mapping[str, Any] | None = None,
        key: str | None = None,
        description: str | None = None,
        within: timedelta | None = None,
        deadline: datetime | None = None,
        revise: "Callable[[P, ChangesRequested], P | Awaitable[P]] | None" = None,
    ) -> Coroutine[Any, Any, Clearance]: ...

    def approval(
        self,
        title: str,
        *,
        payload: P,
        policy: Policy,
        form: Any = None,
        key: str | None = None,
        description: str | None = None,
        within: timedelta | None = None,
        deadline: datetime | None = None,
        revise: "Callable[[P, ChangesRequested], P | Awaitable[P]] | None" = None,
    ) -> Coroutine[Any, Any, Clearance]:
        """Ask people for approval of ``payload`` and wait, as long as it takes.

        Wait for several at once with ``asyncio.gather``. An approval that the workflow stops
        waiting for, for example because of a timeout, is withdrawn. ``key``: by default
        ``approval-n`` by order of call. ``within``, the time from the request, or ``deadline``, a
        moment: until when people can decide. The policy says what happens then.

        ``form``: what those who grant have to answer, as a model of pydantic, a dataclass or a dict
        with a JSON Schema. ``clearance.answers`` are of that type.

        ``revise``: called when changes are requested, with the payload and the ChangesRequested. It
        returns another payload, which is asked for in the next round, until one is granted or
        refused. It is part of the workflow, so it must return the same in a replay; it may be async
        and do steps.

        Raises Rejected, Expired, Withdrawn, or without ``revise`` ChangesRequested. Raises
        ValueError if a key is used twice or not 1 to 200 printable characters, if the payload is
        not JSON or was asked for in an earlier round, for a deadline without a time zone, and for
        two deadlines; TypeError for a form of a type that has no JSON Schema. After
        ChangesRequested, and after Lapsed or Revoked of the step that was to use the grant, the key
        may be used again with other content.

        ``clearance.payload`` has the types of ``payload``, read from what was approved. So a
        payload must come back from JSON as it is, or ValueError is raised.
        """
        policy = policy_of(policy, within, deadline)
        terms = _Terms(title, policy, description, deadline, form_of(form))
        first = self._asked_for(payload, terms, key)
        if revise is None:
            return self._result_of(first)
        return self._revised(first, payload, terms, revise)

    async def _revised(
        self,
        pending: PendingApproval,
        payload: P,
        terms: "_Terms",
        revise: "Callable[[P, ChangesRequested], P | Awaitable[P]]",
    ) -> Clearance:
        while True:
            try:
                clearance: Clearance = await self._result_of(pending)
            except ChangesRequested as requested:
                changes = requested
            else:
                return clearance
            revised = revise(payload, changes)
            payload = await revised if isawaitable(revised) else revised
            pending = self._asked_for(payload, terms, pending.key)

    def ask(
        self,
        title: str,
        *,
        payload: Any,
        policy: Policy,
        key: str | None = None,
        description: str | None = None,
        form: Any = None,
        within: timedelta | None = None,
        deadline: datetime | None = None,
    ) -> Coroutine[Any, Any, "Asked"]:
        """Ask people for approval of ``payload``, and return once it is recorded.

        The result has the ``id`` and the ``address`` of the approval, which a step may send, and
        ``clearance()``, which waits for the decision. Everything else is as for :meth:`approval`.
        An approval that nobody waits for when the workflow ends is withdrawn.
        """
        policy = policy_of(policy, within, deadline)
        terms = _Terms(title, policy, description, deadline, form_of(form))
        pending = self._asked_for(payload, terms, key)
        return self._asked(pending)

    async def _asked(self, pending: PendingApproval) -> "Asked":
        self._check_inside("ask")
        asked = self._backend.ask(pending)
        try:
            id_, recorded = await asked
            address = recorded or self._backend.address_of(id_)
            return Asked(pending.key, id_, address, pending.future)
        except asyncio.CancelledError:
            pending.future.cancel()
            raise

    def _asked_for(self, payload: Any, terms: "_Terms", key: str | None) -> PendingApproval:
        if payload is None:
            msg = "payload must not be None: approvers must see what they approve"
            raise ValueError(msg)
        key = self._backend.key(key, "approval")
        read = reader_like(payload)
        request = RequestApproval(
            execution_id=self._execution.id,
            fence=self._fence,
            key=key,
            title=terms.title,
            description=terms.description,
            payload=recorded(payload, read, "payload"),
            form=terms.form.schema,
            policy=terms.policy,
            deadline=terms.deadline,
        )
        return PendingApproval(key=key, request=request, read=read, read_answers=terms.form.read)


class _Terms(NamedTuple):
    """What all rounds of an approval have in common."""

    title: str
    policy: Policy
    description: str | None
    deadline: datetime | None
    form: Form


def policy_of(policy: Policy, within: timedelta | None, deadline: datetime | None) -> Policy:
    """Return the policy with the time of a request. Raises ValueError for two deadlines."""
    if deadline is None:
        return policy if within is None else replace(policy, within=within)
    if deadline.tzinfo is None:
        msg = "deadline needs a time zone: another machine may read it"
        raise ValueError(msg)
    if within is not None or policy.within is not None:
        msg = "there are two deadlines: give deadline= or a time within which people decide"
        raise ValueError(msg)
    return policy
