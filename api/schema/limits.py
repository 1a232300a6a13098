"""How much one request may ask for. The sdk has copies of these numbers: ``make generate``."""

from collections.abc import Mapping, Sized
from datetime import timedelta

from graphql import GraphQLSchema

from api.errors import bad_request, limit_exceeded
from api.graphql.query_limits import MAX_ITEMS, MAX_PAGE
from application.notifications.preferences import MAX_CHANNELS
from application.webhooks.registrations import MAX_WEBHOOKS
from domain.approvals.policy import MAX_REQUIREMENTS
from domain.validation import MAX_LABELS

MAX_COMMANDS = 256
MAX_DECISIONS = 100
MAX_VALUES = 500
"""Values of one condition of a filter."""

NO_WAIT = timedelta(0)
MAX_WAIT = timedelta(seconds=20)

DEFAULT_LEASE = timedelta(seconds=30)
MIN_LEASE, MAX_LEASE = timedelta(seconds=1), timedelta(hours=1)
MAX_CLAIMS = 500
MAX_CAPACITY = 1_000_000
MAX_WORKFLOWS = 1_000
MAX_QUEUES = 100
MAX_HOLDING = 10_000
MAX_RELEASES = 10_000
MAX_SIMULATED = 500

LISTS: Mapping[str, int] = {
    "Mutation.submit": MAX_COMMANDS,
    "Mutation.grantApprovals": MAX_DECISIONS,
    "Mutation.rejectApprovals": MAX_DECISIONS,
    "ClaimResult.claims": MAX_CLAIMS,
    "ExecutionView.labels": MAX_LABELS,
    "ApprovalPolicy.requirements": MAX_REQUIREMENTS,
    "ApprovalView.outstanding": MAX_REQUIREMENTS,
    "PolicySimulation.changes": MAX_SIMULATED,
    "Query.webhooks": MAX_WEBHOOKS,
    "NotificationPreferences.channels": MAX_CHANNELS,
    "NotificationPreferencesInput.channels": MAX_CHANNELS,
    # These have no limit of their own. Few have more, and if they do, the limit on the bytes
    # of an answer holds.
    "ApprovalView.decisions": 20,
    "ApprovalView.amendments": 5,
    "ApprovalView.delegations": 20,
    "ExecutionView.children": 100,
    "ExecutionSnapshot.approvals": 100,
    # All transcripts of an answer are limited in bytes together.
    "Claim.transcript": 0,
    "Transcript.events": 0,
    "Transcript.approvals": 0,
}
"""How many items the lists of objects count for in the limit on documents, besides pages.

0: what the field has is limited otherwise, and nothing in it counts.
"""

ARGUMENTS: Mapping[str, int] = {
    "Mutation.submit.commands": MAX_COMMANDS,
    "Mutation.grantApprovals.inputs": MAX_DECISIONS,
    "Mutation.rejectApprovals.inputs": MAX_DECISIONS,
    "Query.standingGrants.status": MAX_VALUES,
    "Query.messages.status": MAX_VALUES,
    "Mutation.resendMessages.ids": MAX_VALUES,
    "Mutation.releaseExecutions.executionIds": MAX_RELEASES,
    "Mutation.releaseExecutions.releases": MAX_RELEASES,
    "Subscription.assignments.queues": MAX_QUEUES,
    "Subscription.assignments.workflows": MAX_WORKFLOWS,
}
"""How many items the lists have that fields take as arguments."""


def with_list_sizes(schema: GraphQLSchema) -> None:
    """Write the sizes of lists into the schema, where :mod:`api.graphql` reads them."""
    for type_ in schema.type_map.values():
        names = [type_.name, *(each.name for each in getattr(type_, "interfaces", ()))]
        for field_name, field in getattr(type_, "fields", {}).items():
            for name in names:
                if (size := LISTS.get(f"{name}.{field_name}")) is not None:
                    field.extensions[MAX_ITEMS] = size
            for argument_name, argument in getattr(field, "args", {}).items():
                size = ARGUMENTS.get(f"{type_.name}.{field_name}.{argument_name}")
                if size is not None:
                    argument.extensions[MAX_ITEMS] = size


def check_values(values: Sized | None, name: str, limit: int = MAX_VALUES) -> None:
    """Raise LIMIT_EXCEEDED for a list with more values than the limit."""
    if values is not None and len(values) > limit:
        msg = f"{name} has {len(values)} values, the limit is {limit}; send several requests"
        raise limit_exceeded(msg)


def page_size(first: int | None, default: int) -> int:
    """Return ``first``, or the default. Raises LIMIT_EXCEEDED below 0 and above MAX_PAGE."""
    size = default if first is None else first
    if not 0 <= size <= MAX_PAGE:
        msg = f"first is {size}, it must be from 0 to {MAX_PAGE}"
        raise limit_exceeded(msg)
    return size


def check_wait(wait: timedelta | None) -> timedelta:
    """Return the wait, by default none. Raises LIMIT_EXCEEDED outside of 0 to 20 seconds."""
    wanted = NO_WAIT if wait is None else wait
    if not NO_WAIT <= wanted <= MAX_WAIT:
        raise limit_exceeded("wait must be from PT0S to PT20S")
    return wanted


def check_lease(lease: timedelta | None) -> timedelta:
    """Return the lease, by default 30 seconds. Raises BAD_REQUEST outside of 1 s to 1 h."""
    wanted = DEFAULT_LEASE if lease is None else lease
    if not MIN_LEASE <= wanted <= MAX_LEASE:
        raise bad_request("lease must be from PT1S to PT1H")
    return wanted


def check_grace(grace: timedelta | None) -> timedelta | None:
    """Return the grace, None for none. Raises BAD_REQUEST outside of 0 to 1 hour."""
    if grace is not None and not timedelta(0) <= grace <= MAX_LEASE:
        raise bad_request("grace must be from PT0S to PT1H")
    return grace


def check_number(value: int | None, default: int, low: int, high: int, name: str) -> int:
    """Return the number, or the default. Raises BAD_REQUEST below ``low`` and above ``high``."""
    wanted = default if value is None else value
    if not low <= wanted <= high:
        msg = f"{name} is {wanted}, it must be from {low} to {high}"
        raise bad_request(msg)
    return wanted
