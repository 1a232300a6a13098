"""The served schema is the contract: nothing renamed, nothing missing, the same defaults."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from graphql import Node, parse, print_ast

from api.schema import schema
from tests.api.schema.not_served_yet import NOT_SERVED_YET

ROOT = Path(__file__).parents[3]
COMMITTED = Path(__file__).with_name("contract.graphql")
SHARED = Path(
    os.environ.get("PLACET_CONTRACT", ROOT.parent / "shared" / "contract" / "schema.graphql")
)
# What the service adds to the contract: types by their names, and members of the contract's own.
ADDED = {
    "Accepted.at",
    "Child",
    "ChildInput",
    "Decision.explanation",
    "ExecutionChange",
    "Parent",
    "ParentEnd",
    "ParkingInput",
    "ReleaseInput",
    "ReleaseInput.fence",
    "SignalInput",
    "StepInput.argumentsDigest",
    "Query.standingGrant",
    "Query.standingGrants(atLeast)",
    "StandingGrantResult.position",
    "SuspensionInput",
    "TimerCancellationInput",
    "TimerInput",
    "UnparkingInput",
    "AssignmentMessage.happened",
    "AssignmentMessage.parked",
    "AssignmentMessage.position",
    "AssignmentMessage.traceparent",
    "RecordedEvent.traceparent",
    "Subscription.executionEvents(afterHash)",
    "AssignmentMessage.version",
    "ClaimInput.holding",
    "HoldingInput",
    "ClaimInput.wait",
    "ClaimInput.transcripts",
    "ClaimInput.workflows",
    "Claim.transcript",
    "Person.emails",
    "Person.roles",
    "Person.source",
    "PersonSource",
    "Decision.asSubstitute",
    "Substitute",
    "SubstituteConnection",
    "SubstituteEdge",
    "SubstituteInput",
    "SubstituteResult",
    "Query.substitutes",
    "Mutation.setSubstitute",
    "Mutation.endSubstitute",
    "Webhook",
    "WebhookInput",
    "WebhookResult",
    "ChannelPreference",
    "ChannelPreferenceInput",
    "MessageKind",
    "MessageStatus",
    "MessageTiming",
    "NotificationPreferences",
    "NotificationPreferencesInput",
    "OutboxMessage",
    "OutboxMessageConnection",
    "OutboxMessageEdge",
    "PreferencesResult",
    "ResendResult",
    "Query.messages",
    "Query.preferences",
    "Mutation.resendMessages",
    "Mutation.setPreferences",
    "WorkflowInput",
    "Subscription.assignments(transcripts)",
    "Subscription.assignments(workflows)",
    "Transcript",
    "ClaimResult.lost",
    "ClaimResult.parked",
    "Mutation.releaseExecutions(others)",
    "DecisionConnection",
    "DecisionEdge",
    "DecisionFilter",
    "EventFilter.workflow",
    "ApprovalFilter.idBeginsWith",
    "ExecutionFilter.idBeginsWith",
    "ExecutionFilter.parked",
    "Query.approvals(asOf)",
    "Query.decisions",
    "Query.webhooks",
    "Mutation.createWebhook",
    "Mutation.deleteWebhook",
    "Mutation.rotateWebhookSecret",
    "RecordedDecision",
    "Query.executionAfter",
    "RefusalCode.INTERNAL",
    "Subscription.assignments(grace)",
    "Mutation.releaseExecutions(releases)",
    *(
        f"{view}.{field}"
        for view in ("ExecutionView", "Execution", "ExecutionSnapshot")
        for field in (
            "asleep",
            "cancelRequestedAt",
            "children",
            "parent",
            "parked",
            "wakesAt",
            "wokenVersion",
        )
    ),
    *(
        f"{type_}.{command}"
        for type_ in ("CommandInput", "Mutation")
        for command in (
            "cancelTimer",
            "parkExecution",
            "sendSignal",
            "setTimer",
            "startChild",
            "suspendExecution",
        )
    ),
    "Mutation.unparkExecution",
}
# How Strawberry prints the roots, and a directive of the specification itself.
BUILT_IN = {"schema", "oneOf"}


def facts(sdl: str) -> dict[str, Any]:
    """Return what clients rely on, by path: kinds, types, defaults, interfaces, directives."""
    found: dict[str, Any] = {}
    for node in parse(sdl).definitions:
        name = getattr(getattr(node, "name", None), "value", "schema")
        found[name] = (node.kind, names(node, "interfaces"), names(node, "directives", {"oneOf"}))
        for member in getattr(node, "values", None) or ():
            found[f"{name}.{member.name.value}"] = "value"
        for field in getattr(node, "fields", None) or ():
            path = f"{name}.{field.name.value}"
            found[path] = typed(field)
            for argument in getattr(field, "arguments", None) or ():
                found[f"{path}({argument.name.value})"] = typed(argument)
    return found


def names(node: Node, attribute: str, only: set[str] | None = None) -> list[str]:
    nodes: Iterable[Any] = getattr(node, attribute, None) or ()
    return sorted(n.name.value for n in nodes if only is None or n.name.value in only)


def typed(node: Any) -> tuple[str, str | None]:
    default = getattr(node, "default_value", None)
    return print_ast(node.type), None if default is None else print_ast(default)


def within(path: str, names: set[str]) -> bool:
    """Whether a path is one of these or below it."""
    return any(path == name or path.startswith((f"{name}.", f"{name}(")) for name in names)


SERVED = facts(schema.as_str())
CONTRACT = facts(COMMITTED.read_text())


def test_the_whole_contract_is_served() -> None:
    expected = {path: fact for path, fact in CONTRACT.items() if not within(path, NOT_SERVED_YET)}
    assert {path: SERVED.get(path) for path in expected} == expected


def test_nothing_but_the_contract_and_the_listed_additions_is_served() -> None:
    beside = {path for path in SERVED.keys() - CONTRACT.keys() if not within(path, ADDED)}
    assert beside <= BUILT_IN


def test_the_listed_additions_are_served() -> None:
    assert SERVED.keys() >= ADDED


def test_nothing_served_is_on_the_list_of_what_is_not_served() -> None:
    assert not [path for path in SERVED if within(path, NOT_SERVED_YET)]


def test_all_that_is_listed_as_not_served_is_in_the_contract() -> None:
    assert not NOT_SERVED_YET - CONTRACT.keys()


def test_every_type_is_described() -> None:
    types = schema._schema.type_map.values()
    assert not [t.name for t in types if not t.name.startswith("__") and not t.description]


def test_the_committed_copy_is_the_contract() -> None:
    # The contract itself lies beside this repository, and in a clone alone there is none.
    given = [SHARED.read_text()] if SHARED.exists() else []
    assert all(text == COMMITTED.read_text() for text in given)


def test_the_documented_schema_is_the_served_one() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "api.schema"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    written = (ROOT / "docs" / "schema.graphql").read_text()
    assert written == printed, "run: python -m api.schema > docs/schema.graphql"
