"""The shapes of interrupts that are known, and what answers them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.types import Interrupt

from placet._util.canonical_json import digest
from placet._util.serde import plain
from placet.approvals.tool_calls import ToolCall

Answer = dict[str, Any]


@dataclass(frozen=True)
class Request(ABC):
    """One action of an interrupt, and the kinds of answer that the graph takes."""

    call: ToolCall
    description: str | None
    allowed: frozenset[str]

    def asks(self, call: ToolCall) -> bool:
        """Whether it is this call that is asked for, as JSON: 1 is not true."""
        return digest(call) == digest(self.call)

    @abstractmethod
    def granted(self, call: ToolCall, comment: str | None) -> Answer | None:
        """Answer that people granted ``call``; None if the graph does not take that."""

    @abstractmethod
    def refused(self, reason: str | None) -> Answer | None:
        """Answer that it may not; None if the graph does not take that."""


class InboxRequest(Request):
    """A HumanInterrupt of the Agent Inbox, answered by a HumanResponse."""

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "InboxRequest":
        """Give the request of a HumanInterrupt."""
        action, config = value["action_request"], value["config"]
        allowed = frozenset(name.removeprefix("allow_") for name in config if config[name])
        return cls(_call(action["action"], action["args"]), value.get("description"), allowed)

    def granted(self, call: ToolCall, comment: str | None) -> Answer | None:
        """Accept or edit; where the graph asks for words, the approver's."""
        args = {"action": call.action, "args": call.arguments}
        if self.asks(call) and "accept" in self.allowed:
            return {"type": "accept", "args": args}
        if "edit" in self.allowed:
            return {"type": "edit", "args": args}
        if self.asks(call) and "respond" in self.allowed:
            return {"type": "response", "args": comment or "granted"}
        return None

    def refused(self, reason: str | None) -> Answer | None:
        """Respond with the reason, or ignore."""
        if "respond" in self.allowed and (reason or "ignore" not in self.allowed):
            return {"type": "response", "args": reason or "rejected"}
        return {"type": "ignore", "args": None} if "ignore" in self.allowed else None


class ReviewRequest(Request):
    """An action of langchain's HumanInTheLoopMiddleware, answered by one of its decisions."""

    @classmethod
    def of(cls, value: Mapping[str, Any], allowed: Sequence[str]) -> "ReviewRequest":
        """Give the request of an action; ``allowed`` are types of decision."""
        call = _call(value["name"], value["args"])
        return cls(call, value.get("description"), frozenset(allowed))

    def granted(self, call: ToolCall, comment: str | None) -> Answer | None:
        """Approve or edit; where the graph asks for words, the approver's."""
        if self.asks(call) and "approve" in self.allowed:
            return {"type": "approve"}
        if "edit" in self.allowed:
            edited = {"name": call.action, "args": call.arguments}
            return {"type": "edit", "edited_action": edited}
        if self.asks(call) and "respond" in self.allowed:
            return {"type": "respond", "message": comment or "granted"}
        return None

    def refused(self, reason: str | None) -> Answer | None:
        """Reject with the reason, or respond with it where nothing but words is taken."""
        if "reject" in self.allowed:
            return {"type": "reject", "message": reason} if reason else {"type": "reject"}
        # To langchain a response is the success of the tool.
        if "respond" in self.allowed and self.allowed.isdisjoint({"approve", "edit"}):
            return {"type": "respond", "message": reason or "rejected"}
        return None


Shape = tuple[Sequence[Request], Callable[[list[Answer]], Any]]


def shape_of(interrupt: Interrupt) -> Shape:
    """Give what an interrupt asks, and how its answers are put together."""
    match interrupt.value:
        case {"action_requests": actions, "review_configs": configs}:
            allowed = {each["action_name"]: each["allowed_decisions"] for each in configs}
            reviews = [ReviewRequest.of(each, allowed[each["name"]]) for each in actions]
            return reviews, lambda answers: {"decisions": answers}
        case {"type": "tool_approval"} as action:
            review = ReviewRequest.of(action, _decisions(interrupt.response_schema))
            return [review], lambda answers: answers[0]
        case {"action_request": _} as value:
            return [InboxRequest.of(value)], list
        case [{"action_request": _}, *_] as values:
            return [InboxRequest.of(each) for each in values], list
    msg = (
        f"interrupt {interrupt.id} is neither a HumanInterrupt of the Agent Inbox nor a request of"
        " langchain's HumanInTheLoopMiddleware, so people can't be asked about it"
    )
    raise ValueError(msg)


def _decisions(schema: Any) -> Sequence[str]:
    """Give the types of decision that a JSON schema of the middleware allows."""
    if mapping := schema.get("discriminator", {}).get("mapping"):
        return list(mapping)
    return [schema["properties"]["type"]["const"]]


def _call(action: str, arguments: Any) -> ToolCall:
    return ToolCall(action=action, arguments=plain(arguments, f"the arguments of {action}"))
