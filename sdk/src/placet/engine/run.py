"""One execution in the hands of its workflow: what ``run`` is to the code of a workflow."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from placet.canonical import plain
from placet.commands import CompleteExecution, FailExecution, RequestApproval
from placet.engine.approvals import Approvals
from placet.engine.calls import call, described
from placet.engine.clearance import Clearance
from placet.engine.hold import Hold
from placet.engine.replay import Replay
from placet.engine.steps import Steps, Work
from placet.policy import Policy

T = TypeVar("T")


class Run:
    """Steps and approvals of one execution.

    A workflow is run again from its start after a crash, so it must ask for the same steps and
    approvals in the same order, or name them by ``key``. Everything else that it does, reading a
    clock say, belongs in a step.
    """

    def __init__(self, hold: Hold, replay: Replay, approvals: Approvals) -> None:
        self._hold = hold
        self._approvals = approvals
        self._steps = Steps(hold, replay)
        self._calls: Counter[str] = Counter()
        self._keys: set[str] = set()

    @property
    def execution_id(self) -> str:
        """The id of the execution."""
        return self._hold.execution.id

    @property
    def input(self) -> Any:
        """What the execution was started with."""
        return self._hold.execution.input

    def step(
        self,
        fn: Callable[..., Any],
        *args: Any,
        key: str | None = None,
        name: str | None = None,
        clearance: Clearance | None = None,
        retries: int = 0,
        pause: float = 0.5,
        **kwargs: Any,
    ) -> Coroutine[Any, Any, Any]:
        """Do a piece of work and record its result, or give back the result recorded before.

        ``fn`` may be async or not; then it gets a thread. Its result must be JSON, and comes back
        as JSON says it: a tuple as a list. ``name``: by default the function's. ``key``: by
        default ``name-n`` by order of call. A failed attempt is recorded, and tried again
        ``retries`` times, after ``pause`` seconds, twice as long each time.

        With ``clearance`` the step is the one use of that approval: the payload in hand must be
        what was granted, to the byte, else DigestMismatch or AlreadyRedeemed is raised and
        nothing is done. Such a step is begun once: if it is not known how it ended, Doubt. So it
        has no retries.

        Raises StepFailed when the last attempt failed, ValueError if a key is used twice or a
        step with a clearance is to be tried again.
        """
        if clearance is not None and retries:
            msg = "a step with a clearance is begun once, so it can't have retries"
            raise ValueError(msg)
        name = name or str(getattr(fn, "__name__", type(fn).__name__))
        work = Work(
            # Here and not in the coroutine: keys follow the order of calls, whatever is awaited
            # first.
            key=self._key(key, name),
            name=name,
            call=lambda: call(fn, *args, **kwargs),
            clearance=clearance,
            attempts=retries + 1,
            pause=pause,
        )
        return self._joined(self._steps.do, work)

    def approval(
        self,
        title: str,
        *,
        payload: Any,
        policy: Policy,
        key: str | None = None,
        description: str | None = None,
    ) -> Coroutine[Any, Any, Clearance]:
        """Ask people for approval of ``payload`` and wait, as long as it takes.

        Several can be waited for at once through ``asyncio.gather``. ``key``: by default
        ``approval-n`` by order of call. Raises Rejected, Expired or Withdrawn, KeyReused if a
        replayed workflow asks for something else under the same key, and ValueError if a key is
        used twice or the payload is not JSON.
        """
        if payload is None:
            msg = "payload must not be None: approvers must see what they approve"
            raise ValueError(msg)
        request = RequestApproval(
            execution_id=self.execution_id,
            fence=self._hold.fence,
            key=self._key(key, "approval"),
            title=title,
            description=description,
            payload=plain(payload, "payload"),
            policy=policy,
        )
        return self._joined(self._approvals.obtain, request)

    async def complete(self, result: Any) -> None:
        """Record that the workflow returned. The engine does this."""
        await self._hold.send(
            CompleteExecution(
                execution_id=self.execution_id,
                fence=self._hold.fence,
                result=plain(result, "the workflow's result"),
            )
        )

    async def fail(self, error: BaseException) -> None:
        """Record that the workflow raised. The engine does this."""
        await self._hold.send(
            FailExecution(
                execution_id=self.execution_id, fence=self._hold.fence, error=described(error)
            )
        )

    def _key(self, given: str | None, name: str) -> str:
        if given is None:
            self._calls[name] += 1
        key = given or f"{name}-{self._calls[name]}"
        if key in self._keys:
            msg = f"the key {key!r} is used twice in one run; give each step and approval its own"
            raise ValueError(msg)
        self._keys.add(key)
        return key

    async def _joined(self, work: Callable[..., Coroutine[Any, Any, T]], asked: Any) -> T:
        self._hold.join()
        # A workflow that swallowed its cancellation must not go on either.
        if self._hold.abandoned:
            raise asyncio.CancelledError
        return await work(asked)
