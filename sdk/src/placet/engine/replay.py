"""What an execution had recorded when this worker claimed it, which a replay gives back."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from placet.client import Client
from placet.commands import EventFilter
from placet.errors import Internal
from placet.model import Approval, Claim, RecordedEvent, Step

_STARTED_AND_CLAIMED = 2


@dataclass(frozen=True, slots=True)
class Replay:
    """The record at the claim; it does not change while the run goes on.

    ``failures`` counts a step's failed attempts since the execution was last retried, because
    those before the retry are what the retry is meant to repeat.
    """

    steps: Mapping[str, Step] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    redeemed: frozenset[str] = frozenset()


async def load(client: Client, claim: Claim) -> Replay:
    """Read the record of a claimed execution. Raises RequestError."""
    if claim.execution.version <= _STARTED_AND_CLAIMED:
        return Replay()
    history = await client.history(claim.execution.id)
    if history is None:
        # Without its record the workflow would do again what was done.
        msg = f"execution {claim.execution.id} is claimed, but its record can't be read"
        raise Internal(msg)
    failed = any(step.completed_at is None for step in history.steps)
    return Replay(
        steps={step.key: step for step in history.steps},
        failures=_failures(await _attempts(client, claim.execution.id)) if failed else {},
        redeemed=frozenset(_redeemed(history.approvals)),
    )


def _redeemed(approvals: Iterable[Approval]) -> Iterable[str]:
    return (approval.id for approval in approvals if approval.redeemed_at is not None)


async def _attempts(client: Client, execution_id: str) -> list[RecordedEvent]:
    where = EventFilter(execution_id=execution_id, types=["StepFailed", "Retried"])
    page = await client.events(where, first=500)
    events = list(page)
    while page.next:
        page = await client.events(where, first=500, after=page.next)
        events.extend(page)
    return events


def _failures(events: Iterable[RecordedEvent]) -> Counter[str]:
    failures: Counter[str] = Counter()
    for event in events:
        if event.type == "Retried":
            failures.clear()
        elif event.data is not None:
            failures[event.data["key"]] += 1
    return failures
