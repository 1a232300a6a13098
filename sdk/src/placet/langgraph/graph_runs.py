"""Runs graphs of LangGraph whose interrupts people answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    title_of,
)
from placet.errors import NotCleared
from placet.langgraph.handover import hand_over
from placet.langgraph.shapes import ActionRequest, Answer, shape_of
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

        The interrupts that are open at one time are answered together, once all are decided. A
        granted action is answered with the payload that was granted, one that was rejected,
        expired or withdrawn with a refusal and its reason. If the graph takes no refusal,
        Rejected, Expired or Withdrawn is raised. Each grant is redeemed and so given to the graph
        once, or not at all if the service is away meanwhile. Doubt is raised if another process
        gave it, or ended while it did. A node that asks for something else when it runs again
        raises KeyReused. Raises ValueError for an interrupt of an unknown shape, for a graph
        without a checkpointer, and for a graph that stops at a breakpoint of ``interrupt_before``
        or ``interrupt_after``, where people are asked nothing; and what the graph raises.
        """
        _check_options(options)
        thread = _latest(config)
        # Raises without a checkpointer, before people are asked for what can't be resumed.
        await graph.aget_state(thread)
        # Always continue from the checkpoint. An answer that an ended process had saved must not be
        # given again: the node would take it as the answer to its next interrupt.
        output = await graph.ainvoke(given, config, version="v2", **options)
        while output.interrupts:
            answers = await self._answers(thread["configurable"]["thread_id"], output.interrupts)
            resume: Command[Any] = Command(resume=answers)
            output = await graph.ainvoke(resume, thread, version="v2", **options)
        if standing := (await graph.aget_state(thread)).next:
            msg = (
                f"the graph stopped at a breakpoint (interrupt_before, interrupt_after), before"
                f" {', '.join(standing)}; people are asked only by interrupt() in a node. Remove"
                " the breakpoint, or continue the graph with None as its input"
            )
            raise ValueError(msg)
        return output.value

    async def _answers(self, thread_id: Any, interrupts: Sequence[Interrupt]) -> dict[str, Any]:
        """Return the answers to interrupts, by id."""
        shapes = {each.id: shape_of(each) for each in interrupts}
        asked = [
            (key, request, await self._ask(f"{_text(thread_id)}/{key}/{n}", request))
            for key, (requests, _) in shapes.items()
            for n, request in enumerate(requests)
        ]
        decided = [(key, *await self._decided(request, on)) for key, request, on in asked]
        # Only after all are decided, so that a process that ends while it waits has used none.
        grants = [(clearance, answer) for _, answer, clearance in decided if clearance is not None]
        await hand_over(self.gate, grants)
        return {
            key: combined([answer for of, answer, _ in decided if of == key])
            for key, (_, combined) in shapes.items()
        }

    async def _ask(self, key: str, request: ActionRequest) -> Approval:
        return await self.gate.ask(
            request.call.action,
            key,
            title=title_of(request.call),
            payload=request.call,
            policy=policy_for(request.call, self.policy),
            description=_shortened(request.description),
            on_behalf_of=self.on_behalf_of,
        )

    async def _decided(
        self, request: ActionRequest, approval: Approval
    ) -> tuple[Answer, Clearance | None]:
        try:
            clearance = await self.gate.clearance(approval)
        except NotCleared as refused:
            refusal = request.refused(refusal_of(refused.approval))
            if refusal is None:
                raise
            return refusal, None
        granted = msgspec.convert(clearance.payload, ToolCall)
        answer = request.granted(granted, comment_of(clearance.approval))
        if answer is None:
            answer = request.refused(
                f"people agree only to {msgspec.json.encode(granted).decode()}"
            )
        if answer is None:
            msg = f"people granted {granted}, and the interrupt takes neither edits nor a refusal"
            raise ValueError(msg)
        return answer, clearance


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
