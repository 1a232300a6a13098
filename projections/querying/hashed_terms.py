"""Terms: hashes under which rows are found by exact names of any length.

An index entry of PostgreSQL holds some 2,700 bytes, which a label can exceed; a hash never does,
and holds any character.
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
from domain.values import Label, Principal

Kind = Literal["person", "label", "group", "user", "decided"]


@lru_cache(maxsize=10_000)
def term(kind: Kind, *names: str) -> UUID:
    """Hash names of one kind to 128 bits."""
    try:
        named = msgspec.json.encode((kind, *names))
    except UnicodeEncodeError:
        # Half a surrogate pair, from a client's question: escaped, it is the name of no row.
        named = json.dumps((kind, *names)).encode()
    return UUID(bytes=blake2b(named, digest_size=16).digest())


def person_term(person: str) -> UUID:
    """Return the term of a person, whatever the person has to do with the row."""
    return term("person", person)


def label_terms(labels: Iterable[Label]) -> list[UUID]:
    """Return a term for each pair of name and value."""
    return [term("label", label.name, label.value) for label in labels]


def group_terms(groups: Iterable[str]) -> list[UUID]:
    """Return the terms under which approvals are found that name one of the groups."""
    return [term("group", group) for group in groups]


def eligible_terms(principal: Principal) -> list[UUID]:
    """Return the terms under which approvals are found whose policy names the principal."""
    return [*group_terms(sorted(principal.groups)), term("user", principal.id)]


def decided_term(person: str) -> UUID:
    """Return the term under which approvals are found that the person decided."""
    return term("decided", person)


def audience(approval: Approval) -> list[UUID]:
    """Return the terms of all who see the approval as approvers."""
    requirements = approval.policy.requirements
    return [
        *group_terms(dict.fromkeys(name for r in requirements for name in r.groups)),
        *(term("user", name) for name in dict.fromkeys(n for r in requirements for n in r.users)),
        *(decided_term(decision.by.id) for decision in approval.decisions),
    ]


def barred(execution: Execution, approval: Approval) -> list[UUID]:
    """Return the terms of all who may not decide, or not again, although the policy names them."""
    people = [decision.by.id for decision in approval.decisions]
    if not approval.policy.allow_initiator:
        people += [execution.initiator.id, approval.requested_by.id]
        if execution.on_behalf_of is not None:
            people.append(execution.on_behalf_of)
    return [person_term(person) for person in dict.fromkeys(people)]


def array(terms: Iterable[UUID]) -> str:
    """Write terms as the text of a PostgreSQL ``uuid[]``, for arrays of arrays of any length."""
    return "{" + ",".join(map(str, terms)) + "}"
