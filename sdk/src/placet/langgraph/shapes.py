"""The known shapes of interrupts, and their answers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langgraph.types import Interrupt

from placet._util.canonical_json import digest
from placet._util.serde import plain
from placet._util.service_rules import required_text_problem
from placet.approvals.tool_calls import ToolCall, title_of
from placet.models.rules import MAX_TITLE

Answer = dict[str, Any]

FREE = "interrupt"
"""The action of an interrupt that names none."""


@dataclass(frozen=True)
class ActionRequest(ABC):
    """One action of an interrupt, and the kinds of answer that the graph takes."""

    call: ToolCall
    description: str | None
    allowed: frozenset[str]
    form: Any = None

    def asks(self, call: ToolCall) -> bool:
        """Whether this call is the requested one. They are compared as JSON: 1 is not true."""
        return digest(call) == digest(self.call)

    @property
    def title(self) -> str:
        """The title of the approval."""
        return title_of(self.call)

    @abstractmethod
    def granted(self, call: ToolCall, comment: str | None) -> Any:
        """Return the answer that people granted ``call``; None if the graph does not take it."""

    @abstractmethod
    def refused(self, reason: str | None) -> Any:
        """Return the answer that the call is refused; None if the graph does not take it."""


class InboxRequest(ActionRequest):
    """A HumanInterrupt of the Agent Inbox, answered by a HumanResponse."""

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "InboxRequest":
        """Return the request of a HumanInterrupt."""
        action, config = value["action_request"], value["config"]
        allowed = frozenset(name.removeprefix("allow_") for name in config if config[name])
        return cls(_call(action["action"], action["args"]), value.get("description"), allowed)

    def granted(self, call: ToolCall, comment: str | None) -> Answer | None:
        """Accept, edit, or respond with the comment of the approver."""
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


class ReviewRequest(ActionRequest):
    """An action of langchain's HumanInTheLoopMiddleware, answered by one of its decisions."""

    @classmethod
    def of(cls, value: Mapping[str, Any], allowed: Sequence[str]) -> "ReviewRequest":
        """Return the request of an action; ``allowed`` are types of decision."""
        call = _call(value["name"], value["args"])
        return cls(call, value.get("description"), frozenset(allowed))

    def granted(self, call: ToolCall, comment: str | None) -> Answer | None:
        """Approve, edit, or respond with the comment of the approver."""
        if self.asks(call) and "approve" in self.allowed:
            return {"type": "approve"}
        if "edit" in self.allowed:
            edited = {"name": call.action, "args": call.arguments}
            return {"type": "edit", "edited_action": edited}
        if self.asks(call) and "respond" in self.allowed:
            return {"type": "respond", "message": comment or "granted"}
        return None

    def refused(self, reason: str | None) -> Answer | None:
        """Reject with the reason, or respond with it if only a response is taken."""
        if "reject" in self.allowed:
            return {"type": "reject", "message": reason} if reason else {"type": "reject"}
        # For langchain a response means that the tool succeeded.
        if "respond" in self.allowed and self.allowed.isdisjoint({"approve", "edit"}):
            return {"type": "respond", "message": reason or "rejected"}
        return None


class FreeRequest(ActionRequest):
    """Any other value of an interrupt: a question.

    People see the value. Its ``response_schema`` is the form that they answer, and a grant is
    answered with what they answered. Without one it is the comment of the approver, or True if
    there is none. A refusal is False: so ``if interrupt(...)`` does the right thing.
    """

    @classmethod
    def of(cls, value: Any, form: Any = None) -> "FreeRequest":
        """Return the request of a value, which must be JSON, with the schema of its answer."""
        return cls(_call(FREE, value), None, frozenset(), form)

    @property
    def title(self) -> str:
        """The value, if it is a text that can be a title."""
        value = self.call.arguments
        if not isinstance(value, str) or required_text_problem(value, "title", MAX_TITLE):
            return "Answer the question of an agent"
        return value

    def granted(self, call: ToolCall, comment: str | None) -> Any:
        """Return the comment, or True."""
        return comment or True if self.asks(call) else None

    def refused(self, reason: str | None) -> Any:
        """Return False."""
        del reason
        return False


Shape = tuple[Sequence[ActionRequest], Callable[[list[Any]], Any]]


def shape_of(interrupt: Interrupt) -> Shape:
    """Return the actions of an interrupt, and the function that combines their answers.

    Raises ValueError for a value that is not JSON.
    """
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
        case value:
            free = FreeRequest.of(value, interrupt.response_schema)
            return [free], lambda answers: answers[0]


def _decisions(schema: Any) -> Sequence[str]:
    """Return the types of decision that a JSON schema of the middleware allows."""
    if mapping := schema.get("discriminator", {}).get("mapping"):
        return list(mapping)
    return [schema["properties"]["type"]["const"]]


def _call(action: str, arguments: Any) -> ToolCall:
    return ToolCall(action=action, arguments=plain(arguments, f"the arguments of {action}"))
