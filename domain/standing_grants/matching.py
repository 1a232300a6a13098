"""Which standing grants decide an approval at the moment at which it asks people.

An approval asks when it is requested, when a stage begins, and when its payload was amended.
"""

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from domain.approvals import eligibility, quorum
from domain.approvals.events import ApprovalGranted, ApprovalRequested
from domain.approvals.places import place_of
from domain.approvals.state import Approval, Decision, Verdict
from domain.execution.event import Event
from domain.execution.state import Execution
from domain.mismatches import mismatch as schema_mismatch
from domain.standing_grants.state import StandingGrant


def asks(event: Event) -> int | None:
    """Return the ordinal of the approval that may ask people by this event, None if it can't."""
    if isinstance(event, ApprovalRequested):
        return event.ordinal
    if isinstance(event, ApprovalGranted) and not event.resolves:
        return event.ordinal
    return None


def asks_anew(event: Event, approval: Approval) -> bool:
    """Whether the event that led to this state asks people: not if it only adds to its stage.

    A grant that amended the payload asks all of them, because grants before it no longer count.
    """
    if isinstance(event, ApprovalGranted):
        amended = approval.decisions[-1].amendment_version > 0
        return amended or event.stage < quorum.current_stage(approval)
    return True


def mismatch(grant: StandingGrant, execution: Execution, approval: Approval) -> str | None:
    """Return why the grant does not cover an approval, None if it does. Its uses do not matter."""
    if grant.workflow != execution.workflow:
        return f"it is for the workflow {grant.workflow!r}"
    if grant.key is not None and grant.key != approval.key:
        return f"it is for approvals with the key {grant.key!r}"
    if approval.policy.comment_required:
        return "the policy asks for a comment, which can't be given in advance"
    if approval.policy.asks_for_login:
        return "the policy asks for a login at the decision, which nothing in advance can have"
    if approval.form is not None:
        return "the form asks for answers, which can't be given in advance"
    if wrong := schema_mismatch(grant.payload_schema, approval.payload, "payload"):
        return f"the payload is not one that it allows: {wrong}"
    return None


def that_decide(
    grants: Iterable[StandingGrant], execution: Execution, approval: Approval, now: datetime
) -> list[StandingGrant]:
    """Return the grants of which one use each is to be taken, in the order given.

    At most one of each person, and only those whose decisions the stage still lacks.
    """
    chosen = []
    for grant in grants:
        if not approval.pending:
            break
        if not grant.open or now >= grant.expires_at:
            continue
        decision = _decision_by(grant, execution, approval)
        if decision is None:
            continue
        after = replace(approval, decisions=(*approval.decisions, decision))
        left, left_after = quorum.outstanding(approval), quorum.outstanding(after)
        if sum(r.count for r in left_after) == sum(r.count for r in left):
            continue
        chosen.append(grant)
        if quorum.current_stage(after) != quorum.current_stage(approval) or not left_after:
            # The next stage asks by the decision that begins it.
            break
        approval = after
    return chosen


def _decision_by(grant: StandingGrant, execution: Execution, approval: Approval) -> Decision | None:
    """Return the decision that a grant would make now, None if it makes none."""
    person = grant.person
    if approval.decision_that_bars(person.id) is not None:
        return None
    if next(eligibility.objections(person, execution, approval), None) is not None:
        return None
    if mismatch(grant, execution, approval) is not None:
        return None
    place = place_of(person, execution, approval)
    assert place is not None
    return Decision(
        verdict=Verdict.GRANTED,
        by=grant.by,
        at=execution.updated_at,
        # After those that were made, and different from theirs.
        version=execution.version + 1 + len(approval.decisions),
        digest=approval.digest,
        rule=eligibility.rule_for(place, approval),
        groups=tuple(sorted(place.groups)),
        on_behalf_of=place.on_behalf_of,
        stage=quorum.current_stage(approval),
    )
