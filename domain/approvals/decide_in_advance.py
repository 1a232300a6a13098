"""Decisions by a standing grant: what a person allowed in advance, decided in their name."""

from datetime import datetime

from msgspec.structs import replace

from domain.approvals.commands import Decide, DecideInAdvance
from domain.approvals.decide import decide
from domain.approvals.events import Decided
from domain.approvals.state import Approval, Decision, Verdict
from domain.execution.events import Events
from domain.execution.state import Execution
from domain.names import same_name
from domain.refusals import Refusal, RefusalCode


def decide_in_advance(state: Execution, command: DecideInAdvance, now: datetime) -> Events:
    """Grant an approval for the person who allowed it in advance, by the rules of any decision."""
    approval = state.approvals[command.ordinal]
    if made_in_advance(approval, command) is not None:
        return ()
    person = command.person
    # The decision that stands was not made by this use, so this use is not needed.
    if (earlier := approval.decision_that_bars(person.id)) is not None:
        message = f"{earlier.by.id} already decided approval {approval.id}: {earlier.verdict}"
        raise Refusal(RefusalCode.ALREADY_DECIDED, message)
    if approval.form is not None:
        message = f"the form of approval {approval.id} asks for answers"
        raise Refusal(RefusalCode.INVALID_INPUT, message)
    decision, *rest = decide(
        state,
        Decide(
            by=person,
            execution_id=state.id,
            ordinal=approval.ordinal,
            verdict=Verdict.GRANTED,
            digest=command.digest,
            key=command.use_key,
        ),
        now,
    )
    assert isinstance(decision, Decided)
    in_advance = replace(
        decision,
        standing_grant_id=command.grant_id,
        decided_by=person.id,
        content=replace(decision.content, decided_by_name=person.name),
    )
    return (in_advance, *rest)


def made_in_advance(approval: Approval, command: DecideInAdvance) -> Decision | None:
    """Return the decision that the same use made before, also one that was taken back; or None."""
    return next(
        (
            decision
            for decision in approval.decisions
            if decision.standing_grant_id == command.grant_id
            and decision.key == command.use_key
            and same_name(decision.by.id, command.person.id)
        ),
        None,
    )
