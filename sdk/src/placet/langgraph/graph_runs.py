"""Runs graphs of LangGraph whose interrupts people answer."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import msgspec
from langchain_core.runnables import RunnableConfig
from langgraph.pregel.protocol import PregelProtocol
from langgraph.types import Command, Interrupt

from placet._util.canonical_json import digest
from placet.approvals.clearance import Clearance
from placet.approvals.gate import Gate
from placet.approvals.tool_calls import (
    Policies,
    ToolCall,
    comment_of,
    policy_for,
    refusal_of,
)
from placet.errors import NotCleared
from placet.langgraph.handover import hand_over
from placet.langgraph.shapes import ActionRequest, shape_of
from placet.models.responses import Approval
from placet.models.rules import MAX_TEXT

MAX_THREAD = 150
CUT = "\n... (cut here; the payload is whole)"


@dataclass(frozen=True)
class Approvals:
    """Has people answer the interrupts of graphs: each action of an interrupt is an approval.

    ``policy``: who decides, for all actions or by action. ``on_behalf_of``: the person whom the
    graph serves, who then can't decide.
    """

    gate: Gate
    policy: Policies
    on_behalf_of: str | None = None

    async def run(
        self,
        graph: PregelProtocol[Any, Any, Any, Any],
        given: Any,
        config: RunnableConfig,
        **options: Any,
    ) -> Any:
        """Run a graph with a checkpointer, have people answer its interrupts, return its output.

        ``given`` None continues the thread where it is, for example after a crash: an open
        interrupt finds its approvals again. ``config`` needs a ``thread_id``. At a
        ``checkpoint_id`` LangGraph forks the thread, and people are asked anew. ``options`` are
        those of ``graph.ainvoke`` except ``version`` and ``stream_mode``, which raise ValueError.

        Each interrupt is answered as soon as it is decided, while others are open. A granted action
        is answered with the payload that was granted, one that was rejected, expired or withdrawn
        with a refusal and its reason. If people want changes, the reason says which. If the graph
        takes no refusal, Rejected, Expired, Withdrawn or ChangesRequested is raised. Each grant is
        redeemed and so given to the graph once, or not at all if the service is away meanwhile.
        Doubt is raised if another process gave it, or ended while it did. A node that asks for
        something else when it runs again raises KeyReused. Raises ValueError for an interrupt of an
        unknown shape, for a graph without a checkpointer, and for a graph that stops at a
        breakpoint of ``interrupt_before`` or ``interrupt_after``, where people are asked nothing;
        and what the graph raises.
        """
        _check_options(options)
        thread = _latest(config)
        # Raises without a checkpointer, before people are asked for what can't be resumed.
        await graph.aget_state(thread)
        # Always continue from the checkpoint. An answer that an ended process had saved must not be
        # given again: the node would take it as the answer to its next interrupt.
        output = await graph.ainvoke(given, config, version="v2", **options)
        async with OpenInterrupts(self, thread["configurable"]["thread_id"]) as interrupts:
            while output.interrupts:
                resume: Command[Any] = Command(resume=await interrupts.answer(output.interrupts))
                output = await graph.ainvoke(resume, thread, version="v2", **options)
        if standing := (await graph.aget_state(thread)).next:
            msg = (
                f"the graph stopped at a breakpoint (interrupt_before, interrupt_after), before"
                f" {', '.join(standing)}; people are asked only by interrupt() in a node. Remove"
                " the breakpoint, or continue the graph with None as its input"
            )
            raise ValueError(msg)
        return output.value

    async def ask(self, key: str, request: ActionRequest) -> Approval:
        """Ask people about one action of an interrupt."""
        return await self.gate.ask(
            request.call.action,
            key,
            title=request.title,
            payload=request.call,
            policy=policy_for(request.call, self.policy),
            description=_shortened(request.description),
            form=request.form,
            on_behalf_of=self.on_behalf_of,
        )

    async def decided(
        self, request: ActionRequest, approval: Approval
    ) -> tuple[Any, Clearance | None]:
        """Wait for the decision, and return the answer and the grant, if there is one.

        Raises Rejected, Expired or Withdrawn if the graph takes no refusal.
        """
        try:
            clearance = await self.gate.clearance(approval, revisable=False)
        except NotCleared as refused:
            refusal = request.refused(refusal_of(refused.approval))
            if refusal is None:
                raise
            return refusal, None
        if request.form is not None:
            return clearance.answers[-1], clearance
        answer = None
        # An amended payload need not be a call at all.
        with suppress(msgspec.ValidationError):
            granted = msgspec.convert(clearance.payload, ToolCall)
            answer = request.granted(granted, comment_of(clearance.approval))
        agreed = msgspec.json.encode(clearance.payload).decode()
        if answer is None:
            answer = request.refused(f"people agree only to {agreed}")
        if answer is None:
            msg = f"people granted {agreed}, and the interrupt takes neither edits nor a refusal"
            raise ValueError(msg)
        return answer, clearance


class OpenInterrupts:
    """The interrupts of one run that wait for people."""

    def __init__(self, approvals: Approvals, thread_id: Any) -> None:
        self._approvals = approvals
        self._thread = _text(thread_id)
        self._waiting: dict[str, _Waiting] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._waiting.values():
            each.task.cancel()
        await asyncio.gather(*(w.task for w in self._waiting.values()), return_exceptions=True)

    async def answer(self, interrupts: Sequence[Interrupt]) -> dict[str, Any]:
        """Ask about what is new, wait until one interrupt is decided, and return its answer by id.

        Its grants are used, and their executions completed. Only one is answered at a time: if the
        service were away before the grants of the next are used, the answer would be lost.
        """
        for each in interrupts:
            known = self._waiting.get(each.id)
            # A node that ran again has to ask for the same, or asking raises KeyReused.
            if known is None or known.interrupt.value != each.value:
                await self._ask(each)
        tasks = {each.id: self._waiting[each.id].task for each in interrupts}
        await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        id_ = next(id_ for id_, task in tasks.items() if task.done())
        combined, decided = self._waiting.pop(id_).task.result()
        grants = [(clearance, answer) for answer, clearance in decided if clearance is not None]
        await hand_over(self._approvals.gate, grants)
        return {id_: combined([answer for answer, _ in decided])}

    async def _ask(self, interrupt: Interrupt) -> None:
        requests, combined = shape_of(interrupt)
        asked = [
            (request, await self._approvals.ask(f"{self._thread}/{interrupt.id}/{n}", request))
            for n, request in enumerate(requests)
        ]

        async def decided() -> _Decided:
            return combined, [await self._approvals.decided(*each) for each in asked]

        earlier = self._waiting.get(interrupt.id)
        if earlier is not None:
            earlier.task.cancel()
        task = asyncio.create_task(decided(), name="placet-interrupt")
        self._waiting[interrupt.id] = _Waiting(interrupt, task)


_Decided = tuple[Callable[[list[Any]], Any], list[tuple[Any, Clearance | None]]]


class _Waiting(NamedTuple):
    """An open interrupt, and the task that waits for its decisions."""

    interrupt: Interrupt
    task: "asyncio.Task[_Decided]"


def _check_options(options: Mapping[str, Any]) -> None:
    """Raise ValueError for options that change the form of the output, which has the interrupts."""
    for name in ("version", "stream_mode"):
        if name in options:
            msg = (
                f"{name}={options[name]!r} can't be given: the output is read for its interrupts;"
                " to follow the run, give the config callbacks, or print_mode"
            )
            raise ValueError(msg)


def _latest(config: RunnableConfig) -> RunnableConfig:
    """Return the config for the thread as it is now; after a fork, that is the fork."""
    configurable = config.get("configurable", {})
    if configurable.get("thread_id") is None:
        msg = (
            'config names no thread, which approvals are known by: {"configurable": {"thread_id":'
            ' "..."}}'
        )
        raise ValueError(msg)
    kept = {name: value for name, value in configurable.items() if name != "checkpoint_id"}
    return {**config, "configurable": kept}


def _text(thread_id: Any) -> str:
    text = str(thread_id)
    return text if len(text) <= MAX_THREAD else digest(text)


def _shortened(description: str | None) -> str | None:
    """Shorten a description to what the service takes: the middleware puts all arguments in it."""
    if description is None or len(description) <= MAX_TEXT:
        return description
    return description[: MAX_TEXT - len(CUT)] + CUT
