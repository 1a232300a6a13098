"""Since when a person could decide, to tell how long the decision took."""

from datetime import datetime

from domain.approvals.state import Approval, Decision, Verdict
from domain.names import same_name


def asked_at(approval: Approval, decision: Decision) -> datetime:
    """Return when the person who decided was asked.

    That is at the request; in a later stage, when the stage before was complete; by an escalation,
    when it was escalated; for a delegate, when the decision was handed over; for a substitute, when
    the substitution began; and after a grant that an amendment left without effect, at the
    amendment.
    """
    moments = [approval.requested_at]
    if decision.stage > 1:
        moments += [
            each.at
            for each in approval.decisions
            if each.version < decision.version
            and each.stage < decision.stage
            and each.verdict is Verdict.GRANTED
        ]
    if decision.rule.startswith("escalation:") and approval.escalated_at is not None:
        moments.append(approval.escalated_at)
    if approval.amendments:
        superseded = {
            each.superseded_version
            for each in approval.decisions
            if each.version < decision.version and same_name(each.by.id, decision.by.id)
        }
        moments += [each.at for each in approval.amendments if each.version in superseded]
    if decision.substitution is not None:
        if decision.substitution.since is not None:
            moments.append(decision.substitution.since)
    elif decision.on_behalf_of is not None:
        moments += [
            each.at
            for each in approval.delegations
            if each.version < decision.version and same_name(each.to.id, decision.by.id)
        ]
    return max(moments)
