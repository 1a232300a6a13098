"""Keeping the state of an execution by the names of its events, without asking the service.

Fold the events in order of version to get the states that the service has. An event that the table
does not have is of a newer service: read the execution then.
"""

from placet.models.enums import FINAL_STATES, ExecutionState
from placet.models.rules import RESOLVED_BY, TRANSITIONS

FINAL = FINAL_STATES

_RESOLUTIONS = frozenset(RESOLVED_BY.values())
_ENDS = frozenset(
    name
    for name, moves in TRANSITIONS.items()
    if any(after in FINAL and before not in FINAL for before, after in moves.items())
)


def target(state: ExecutionState | None, event: str) -> ExecutionState | None:
    """Return the state after an event, None if the table does not have it."""
    return TRANSITIONS.get(event, {}).get(state)


def may_end(event: str) -> bool:
    """Whether an execution may be final after an event of this type."""
    return event in _ENDS or event not in TRANSITIONS


def may_resolve(event: str) -> bool:
    """Whether an event of this type may have resolved an approval."""
    return event in _RESOLUTIONS or event not in TRANSITIONS
