"""Terms: hashes of names, to find rows by exact names of any length.

An index entry of PostgreSQL can have some 2,700 bytes, and a label may be longer. A hash is always
short, and works for names with any character. Names of people and groups are hashed in their normal
form, and names of those who are barred without their case, as :mod:`domain.names` compares them.
"""

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Literal
from uuid import UUID

import msgspec

from domain.approvals.policy import Requirement
from domain.approvals.quorum import current_stage
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.names import folded, normal
from domain.values import Absence, Label, Principal

Kind = Literal[
    "person",
    "label",
    "group",
    "user",
    "delegate",
    "decided",
    "asked",
    "barred",
    "rule",
    "workflow",
]


@lru_cache(maxsize=10_000)
def term(kind: Kind, *names: str) -> UUID:
    """Hash names of one kind to 128 bits."""
    try:
        named = msgspec.json.encode((kind, *names))
    except UnicodeEncodeError:
        # Half a surrogate pair, from a client's query. Escaped, it matches no row.
        named = json.dumps((kind, *names)).encode()
    return UUID(bytes=blake2b(named, digest_size=16).digest())


def person_term(person: str) -> UUID:
    """Return the term of a person. The column that has it says in which role."""
    return term("person", normal(person))


def rule_term(rule: str) -> UUID:
    """Return the term of a rule of a policy that made somebody eligible."""
    return term("rule", normal(rule))


def workflow_term(workflow: str) -> UUID:
    """Return the term of a workflow."""
    return term("workflow", workflow)


def barred_term(person: str) -> UUID:
    """Return the term of approvals that the person may not decide."""
    return term("barred", folded(person))


def label_terms(labels: Iterable[Label]) -> list[UUID]:
    """Return one term for each label, of its name and value."""
    return [term("label", label.name, label.value) for label in labels]


def group_terms(groups: Iterable[str]) -> list[UUID]:
    """Return the terms of approvals whose policy names one of the groups."""
    return [term("group", group) for group in dict.fromkeys(map(normal, groups))]


def eligible_terms(principal: Principal) -> list[UUID]:
    """Return the terms of approvals that ask for the principal in its own right or as a delegate.

    Those for which it is a substitute have :func:`absence_terms`.
    """
    own = [_user_term(principal.id), _delegate_term(principal.id)]
    return [*group_terms(sorted(principal.groups)), *own]


def absence_terms(absence: Absence) -> list[UUID]:
    """Return the terms of approvals that ask for an absent person as the substitution covers."""
    named = () if absence.only_groups else (_user_term(absence.id),)
    return [*group_terms(sorted(absence.groups)), *named]


def decided_term(person: str) -> UUID:
    """Return the term of approvals that the person has decided."""
    return term("decided", normal(person))


def asked_term(person: str) -> UUID:
    """Return the term of approvals that the person asked for, by starting the execution."""
    return term("asked", normal(person))


def _user_term(person: str) -> UUID:
    return term("user", normal(person))


def _delegate_term(person: str) -> UUID:
    return term("delegate", normal(person))


def audience(execution: Execution, approval: Approval) -> list[UUID]:
    """Return the terms of everyone who may see the approval as an approver, and of who asked.

    Having asked makes nobody see it. Asked have who started the execution, for whom it was started,
    and who requested the approval.
    """
    requirements = approval.policy.requirements
    asked = [execution.initiator.id, execution.on_behalf_of, approval.requested_by.id]
    return [
        *group_terms((*(name for r in requirements for name in r.groups), *approval.escalated_to)),
        *dict.fromkeys(_user_term(name) for r in requirements for name in r.users),
        *_delegates(approval, requirements),
        *(decided_term(decision.by.id) for decision in approval.decisions),
        *dict.fromkeys(asked_term(person) for person in asked if person is not None),
    ]


def deciders(approval: Approval) -> list[UUID]:
    """Return the terms of those whom the policy asks now: the people of the current stage."""
    if not approval.pending:
        return []
    stage = current_stage(approval)
    asked = [r for r in approval.policy.requirements if r.stage == stage]
    return [
        *group_terms((*(name for r in asked for name in r.groups), *approval.escalated_to)),
        *dict.fromkeys(_user_term(name) for r in asked for name in r.users),
        *_delegates(approval, asked),
    ]


def _delegates(approval: Approval, asked: Sequence[Requirement]) -> list[UUID]:
    """Return the terms of those who decide in the place of a person who is asked."""
    people = []
    for each in approval.delegations:
        if chain := approval.chain_of(each):
            person, groups = chain[-1].by.id, frozenset(chain[-1].groups)
            named = any(requirement.admits(person, groups) for requirement in asked)
            if named or approval.escalation_groups(groups):
                people.append(each.to.id)
    return list(dict.fromkeys(map(_delegate_term, people)))


def barred(execution: Execution, approval: Approval) -> list[UUID]:
    """Return the terms of those who may not decide, although the policy may name them."""
    people = [decision.by.id for decision in approval.counting_decisions]
    people += [
        decision.on_behalf_of.id
        for decision in approval.counting_decisions
        if decision.substitution is not None and decision.on_behalf_of is not None
    ]
    people += [each.by.id for each in approval.delegations if each.stands]
    if not approval.policy.allow_initiator:
        people += [execution.initiator.id, approval.requested_by.id]
        if execution.on_behalf_of is not None:
            people.append(execution.on_behalf_of)
    return list(dict.fromkeys(map(barred_term, people)))


def array(terms: Iterable[UUID]) -> str:
    """Return terms as the text of a ``uuid[]``, because the rows have arrays of any length."""
    return "{" + ",".join(map(str, terms)) + "}"
