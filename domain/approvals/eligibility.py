"""Who may decide an approval: a list of small rules. Each returns a reason why not, or None."""

from collections.abc import Callable, Iterator

from domain import authorization
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.names import may_be_same_person, normal
from domain.values import Principal

NOT_NAMED = "no requirement names this person or a group of this person"

Rule = Callable[[Principal, Execution, Approval], str | None]


def role_allows(principal: Principal, _execution: Execution, _approval: Approval) -> str | None:
    """Only an approver decides, and an engine never does."""
    return None if authorization.may_decide(principal) else "the roles do not allow deciding"


def named_by_policy(principal: Principal, _execution: Execution, approval: Approval) -> str | None:
    """A requirement must name the person or one of the person's groups."""
    return None if authorization.eligible(principal, approval) else NOT_NAMED


def not_initiator(principal: Principal, execution: Execution, approval: Approval) -> str | None:
    """Four eyes: the person who started the execution does not decide."""
    if approval.policy.allow_initiator:
        return None
    if not may_be_same_person(execution.initiator.id, principal.id):
        return None
    return "four eyes: this person started the execution"


def not_beneficiary(principal: Principal, execution: Execution, approval: Approval) -> str | None:
    """Four eyes: the person on whose behalf the execution was started does not decide."""
    if approval.policy.allow_initiator:
        return None
    if not may_be_same_person(execution.on_behalf_of, principal.id):
        return None
    return "four eyes: the execution was started on behalf of this person"


def not_requester(principal: Principal, _execution: Execution, approval: Approval) -> str | None:
    """Four eyes: the person who requested the approval does not decide."""
    if approval.policy.allow_initiator:
        return None
    if not may_be_same_person(approval.requested_by.id, principal.id):
        return None
    return "four eyes: this person requested the approval"


RULES: tuple[Rule, ...] = (
    role_allows,
    named_by_policy,
    not_initiator,
    not_beneficiary,
    not_requester,
)


def objections(principal: Principal, execution: Execution, approval: Approval) -> Iterator[str]:
    """Yield every reason why the principal may not decide the approval; nothing if it may."""
    return (reason for rule in RULES if (reason := rule(principal, execution, approval)))


def rule_for(principal: Principal, approval: Approval) -> str:
    """Return what makes the principal eligible, as ``user:ID`` or ``group:NAME``.

    The first requirement that names the principal counts. Raises ValueError if none does.
    """
    for requirement in approval.policy.requirements:
        if requirement.names_user(principal.id):
            return f"user:{principal.id}"
        for group in map(normal, requirement.groups):
            if group in principal.groups:
                return f"group:{group}"
    msg = f"{principal.id} is not eligible for {approval.id}"
    raise ValueError(msg)


def counted_groups(principal: Principal, approval: Approval) -> tuple[str, ...]:
    """Return the principal's groups that the policy names, sorted.

    A decision records them, because memberships may change later.
    """
    requirements = approval.policy.requirements
    return tuple(sorted({g for r in requirements for g in r.named_groups(principal.groups)}))
