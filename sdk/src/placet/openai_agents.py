"""Runs agents of the OpenAI Agents SDK whose tools with ``needs_approval`` wait for people."""

import json
import lzma
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from placet._util.canonical_json import digest
from placet._util.invoke import described
from placet._util.json_text import RepeatedNameError, parsed
from placet._util.optional_imports import needs
from placet._util.texts import barred, cleaned
from placet.approvals.clearance import Clearance, clear
from placet.approvals.gate import Gate
from placet.approvals.tool_calls import Policies, ToolCall, policy_for, refusal_of, title_of
from placet.errors import Internal, InvalidInput, LimitExceeded, NotFound, StepFailed
from placet.models.enums import ApprovalStatus, ExecutionState
from placet.models.responses import Approval, History

with needs("openai-agents"):
    from agents import Agent, Runner, RunResult, RunState, ToolApprovalItem, TResponseInputItem
    from agents.exceptions import UserError
    from openai import APIConnectionError, InternalServerError, RateLimitError
    from pydantic_core import to_jsonable_python

STEP_KEY = "run"
STATE_BYTES = 250_000
"""A larger state is compressed. The service takes 256 KiB, and RunState is repetitive."""

_TRANSIENT = (
    APIConnectionError,
    RateLimitError,
    InternalServerError,
    ConnectionError,
    TimeoutError,
)
"""The model can't be reached at the moment, and the same call may succeed a little later."""


@dataclass(frozen=True)
class Approvals:
    """Has people decide on the tool calls of agents: a run is an execution, a call an approval.

    ``policy``: who decides, for all calls or by call. ``on_behalf_of``: the person whom the agent
    serves, who then can't decide. While people decide, the state of the run is stored in the
    execution, so any process can go on with it.
    """

    gate: Gate
    policy: Policies
    on_behalf_of: str | None = None

    async def run(
        self, agent: Agent[Any], given: str | list[TResponseInputItem], *, key: str, **options: Any
    ) -> Any:
        """Run an agent, have people decide on its calls, and return its final output as JSON.

        ``key`` identifies the run: the same call again finds it and goes on with it, or returns its
        output. With another input it raises KeyReused. ``options`` are those of ``Runner.run``.

        A granted call is made once, as it was granted. A call that is rejected, expired or
        withdrawn is not made, and the agent is told why. A call that people amended is not made
        either, because the library has no way to change one: the agent is told what they agree to.
        What the run raises fails the execution and is raised; later calls raise StepFailed. But if
        the model can't be reached, limits the rate or has a fault, and no grant was redeemed since
        the last stop, the execution stays open, and the same call goes on from there. If the
        process ends after a grant was redeemed and before the run came to its next stop, Doubt is
        raised from then on, because the granted call may have been made. Tools that need no
        approval may run again. A state that is too large to be stored raises InvalidInput or
        LimitExceeded before anybody is asked.
        """
        with self.gate.unclaimed():
            started = await self.gate.client.start(
                agent.name, given, key=key, queue=self.gate.queue, on_behalf_of=self.on_behalf_of
            )
        if started.execution is None:
            msg = f"the service did not say which execution {agent.name!r}, {key!r} is"
            raise Internal(msg)
        return await self.resume(agent, started.execution.id, **options)

    async def resume(self, agent: Agent[Any], execution_id: str, **options: Any) -> Any:
        """Go on with a run, in any process, by the id of its execution. Otherwise as ``run``.

        The agent must be built as it was. A ``context`` that is a mapping was stored with the
        state. Any other has to be passed again, or ValueError is raised.
        """
        while True:
            history = await self._history(execution_id)
            execution = history.execution
            if execution.state is ExecutionState.COMPLETED:
                return execution.result
            if execution.state.final:
                raise StepFailed(STEP_KEY, execution.error or execution.state.lower())
            given, used = execution.input, 0
            if history.steps:
                given = await _restored(agent, history, options.get("context"))
                decided = await self._decide(given, history)
                if decided is None:
                    continue
                used = decided
            try:
                result = await Runner.run(agent, given, **options)
            except Exception as error:
                # A granted call may have been made by then, and must not be made again.
                if used or not isinstance(error, _TRANSIENT):
                    await self._fail(execution_id, error)
                raise
            await self._record(agent, result, history)

    async def _record(self, agent: Agent[Any], result: RunResult, history: History) -> None:
        """Record the state at a stop, or the final output."""
        client, execution_id = self.gate.client, history.execution.id
        try:
            stopped = bool(result.interruptions)
            recorded = _packed(result) if stopped else to_jsonable_python(result.final_output)
        except Exception as error:
            await self._fail(execution_id, error)
            raise
        try:
            with self.gate.unclaimed():
                if stopped:
                    key = f"{STEP_KEY}-{len(history.steps) + 1}"
                    await client.record_step(execution_id, key, name=agent.name, result=recorded)
                else:
                    await client.complete(execution_id, recorded)
        except (ValueError, InvalidInput, LimitExceeded) as error:
            text = f"the run has got this far, which can't be recorded: {described(error)}"
            with self.gate.unclaimed():
                await client.fail(execution_id, cleaned(text))
            raise

    async def _decide(self, state: RunState[Any], history: History) -> int | None:
        """Put people's decisions into the state, and return how many grants were used.

        None: the execution has ended meanwhile.
        """
        stop = len(history.steps)
        asked = []
        for n, item in enumerate(state.get_interruptions(), start=1):
            if problem := _problem(item):
                # People would see other arguments than the tool gets.
                state.reject(item, rejection_message=f"This call is not made: {problem}")
                continue
            key = f"call-{stop}-{n}"
            asked.append((item, await self._ask(history.execution.id, key, _call(item))))
        decided = [(item, await self.gate.client.wait_for(approval)) for item, approval in asked]
        # The approvals of a cancelled execution are withdrawn. That is no decision for the agent.
        if (await self._history(history.execution.id)).execution.state.final:
            return None
        grants: list[Clearance] = []
        for item, approval in decided:
            if approval.status is not ApprovalStatus.GRANTED:
                _reject(state, item, refusal_of(approval))
            elif digest(approval.payload) != digest(_call(item)):
                # A call can't be approved with other arguments than the model gave it.
                _reject(state, item, _amended(approval))
            else:
                grants.append(clear(approval))
                state.approve(item)
        await self._use(grants)
        return len(grants)

    async def _use(self, grants: Sequence[Clearance]) -> None:
        """Redeem the grants of one stop. The last one decides which process makes the calls.

        Those before it are redeemed under a key that every process computes for this stop, so an
        outage between two of them leaves nothing in doubt.
        """
        common = f"{STEP_KEY}-{digest([each.approval.id for each in grants])}"
        for each in grants[:-1]:
            await self.gate.redeem(each, key=common)
        for last in grants[-1:]:
            await self.gate.redeem(last)

    async def _ask(self, execution_id: str, key: str, call: ToolCall) -> Approval:
        with self.gate.unclaimed():
            asked = await self.gate.client.request_approval(
                execution_id,
                key,
                title_of(call),
                payload=call,
                policy=policy_for(call, self.policy),
            )
        if asked.approval is None:
            msg = f"the service did not say which approval {key!r} of {execution_id} is"
            raise Internal(msg)
        return asked.approval

    async def _history(self, execution_id: str) -> History:
        history = await self.gate.client.history(execution_id)
        if history is None:
            msg = f"there is no execution {execution_id!r} that you may see"
            raise NotFound("NOT_FOUND", msg)
        return history

    async def _fail(self, execution_id: str, error: Exception) -> None:
        with self.gate.unclaimed():
            await self.gate.client.fail(execution_id, described(error))


async def _restored(agent: Agent[Any], history: History, context: Any) -> RunState[Any]:
    """Return the state at the last stop."""
    kept = _unpacked(history.steps[-1].result)
    try:
        return await RunState.from_json(agent, kept, context_override=context, strict_context=True)
    except UserError as error:
        msg = (
            f"the run {history.execution.id} can't continue: {str(error).rstrip('.')}. The agent"
            " must be built as it was. A context that is not a mapping is not stored; pass it"
            " again, as context="
        )
        raise ValueError(msg) from error


def _call(item: ToolApprovalItem) -> ToolCall:
    """Return what people are shown: the arguments, or the whole call if it has none by name."""
    action = item.qualified_name or item.name or item.type
    if item.arguments is None:
        return ToolCall(action=action, arguments=to_jsonable_python(item.raw_item))
    try:
        call = ToolCall(action=action, arguments=json.loads(item.arguments))
        digest(call)
    except ValueError:
        # The text of a model need not be JSON that can be stored. People see it as it is.
        return ToolCall(action=action, arguments=item.arguments)
    return call


def _problem(item: ToolApprovalItem) -> str | None:
    """Return why a call is not even put before people, None if it is."""
    try:
        parsed(item.arguments or "null", "the JSON of the arguments")
    except RepeatedNameError as error:
        return str(error)
    except ValueError:
        # People are shown the text.
        return None
    return None


def _amended(approval: Approval) -> str:
    by = ", ".join(each.by.id for each in approval.amendments) or "people"
    return (
        f"{by} changed it and agreed only to {json.dumps(approval.payload)}. Make that call"
        " instead; people are then asked about it"
    )


def _reject(state: RunState[Any], item: ToolApprovalItem, reason: str | None) -> None:
    message = None if reason is None else f"People did not approve of this call: {reason}"
    state.reject(item, rejection_message=message)


def _packed(result: RunResult) -> Any:
    state = result.to_state().to_json(context_serializer=lambda _context: {})
    text = json.dumps(state)
    # The text of a model may hold what the service refuses. Compressed, it is taken.
    if len(text) <= STATE_BYTES and not barred(json.dumps(state, ensure_ascii=False)):
        return state
    return {"lzma": b64encode(lzma.compress(text.encode())).decode()}


def _unpacked(kept: dict[str, Any]) -> dict[str, Any]:
    if "lzma" not in kept:
        return kept
    state: dict[str, Any] = json.loads(lzma.decompress(b64decode(kept["lzma"])))
    return state
