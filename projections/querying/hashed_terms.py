"""Terms: hashes of names, to find rows by exact names of any length.

An index entry of PostgreSQL can have some 2,700 bytes, and a label may be longer. A hash is always
short, and works for names with any character. Names of people and groups are hashed in their normal
form, and names of those who are barred without their case, as :mod:`domain.names` compares them.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Literal
from uuid import UUID

import msgspec

from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.names import folded, normal
from domain.values import Label, Principal

Kind = Literal["person", "label", "group", "user", "decided", "barred"]


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
    """Return the terms of approvals whose policy names the principal or one of its groups."""
    return [*group_terms(sorted(principal.groups)), _user_term(principal.id)]


def decided_term(person: str) -> UUID:
    """Return the term of approvals that the person has decided."""
    return term("decided", normal(person))


def _user_term(person: str) -> UUID:
    return term("user", normal(person))


def audience(approval: Approval) -> list[UUID]:
    """Return the terms of everyone who may see the approval as an approver."""
    requirements = approval.policy.requirements
    return [
        *group_terms(name for r in requirements for name in r.groups),
        *dict.fromkeys(_user_term(name) for r in requirements for name in r.users),
        *(decided_term(decision.by.id) for decision in approval.decisions),
    ]


def barred(execution: Execution, approval: Approval) -> list[UUID]:
    """Return the terms of those who may not decide, although the policy may name them."""
    people = [decision.by.id for decision in approval.decisions]
    if not approval.policy.allow_initiator:
        people += [execution.initiator.id, approval.requested_by.id]
        if execution.on_behalf_of is not None:
            people.append(execution.on_behalf_of)
    return list(dict.fromkeys(map(barred_term, people)))


def array(terms: Iterable[UUID]) -> str:
    """Return terms as the text of a ``uuid[]``, because the rows have arrays of any length."""
    return "{" + ",".join(map(str, terms)) + "}"
