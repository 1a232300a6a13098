"""Makes a principal of the claims of a token, as its issuer is configured.

The identity is the pair of issuer and subject (OpenID Connect Core 1.0, section 5.7). The id that
people see follows from it, and an e-mail address never does.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from api.identity.issuers import Issuer, belongs_to, qualified
from api.identity.tokens import Checked, TokenRefusedError, claim, login_time
from domain import validation
from domain.directory.commands import email_problem
from domain.names import is_reserved, normal
from domain.values import Principal, Role

MAX_GROUPS = 500
MAX_EMAIL = 254
"""RFC 5321, section 4.5.3.1.3, without the angle brackets."""


class Claimed(NamedTuple):
    """The id that a token claims. ``settled``: its subject can have no other one."""

    id: str
    settled: bool


def claimed_id(checked: Checked, issuers: Iterable[Issuer]) -> Claimed:
    """Return the id that the token claims for its subject.

    Raises TokenRefusedError if there is none, or if it is another's: the service's own, an id that
    the configuration gives to somebody else, or one in the form of another issuer's.
    """
    issuer, name = checked.issuer, checked.issuer.claims.id
    value = claim(checked.claims, name)
    if not isinstance(value, str):
        raise TokenRefusedError(f"the claim {name}, which is the id, is no text")
    mapped = issuer.id_mapping.get(value)
    if mapped is not None:
        return Claimed(mapped, settled=True)
    id_ = normal(qualified(value, issuer))
    if problem := validation.name(id_, f"the claim {name}, which is the id,"):
        raise TokenRefusedError(problem)
    if is_reserved(id_) or is_reserved(value):
        raise TokenRefusedError(f"the id {id_!r} is reserved for the service")
    if id_ in issuer.id_mapping.values():
        raise TokenRefusedError(f"id_mapping gives the id {id_!r} to somebody else")
    if issuer.first and any(belongs_to(id_, one) for one in issuers if not one.first):
        raise TokenRefusedError(f"the id {id_!r} has the form of those of another issuer")
    return Claimed(id_, settled=name == issuer.claims.subject)


def principal_of(checked: Checked, id_: str) -> Principal:
    """Return what the token says of the person with this id. Raises TokenRefusedError."""
    issuer, names = checked.issuer, checked.issuer.claims
    queues = None
    if names.queues is not None and claim(checked.claims, names.queues) is not None:
        queues = frozenset(_words(checked.claims, names.queues))
    return Principal(
        id=id_,
        name=_name(checked) or id_,
        roles=_roles(checked),
        groups=_groups(checked),
        queues=queues,
        email=_email(checked.claims, issuer),
        acr=_acr(checked),
        auth_time=login_time(checked),
    )


def _name(checked: Checked) -> str | None:
    for one in (checked.issuer.claims.name, "preferred_username"):
        value = claim(checked.claims, one)
        if isinstance(value, str) and validation.name(value, "name") is None:
            return value
    return None


def _roles(checked: Checked) -> frozenset[Role]:
    issuer = checked.issuer
    roles = set(issuer.default_roles)
    if issuer.claims.roles is not None:
        for value in _words(checked.claims, issuer.claims.roles):
            roles.update(issuer.roles.get(value, ()))
    return frozenset(roles)


def _groups(checked: Checked) -> frozenset[str]:
    """Return the groups that a policy can name. What is no name can't be in a policy."""
    issuer = checked.issuer
    if issuer.claims.groups is None:
        return frozenset()
    given = _words(checked.claims, issuer.claims.groups)
    if len(given) > MAX_GROUPS:
        raise TokenRefusedError(
            f"it has {len(given)} groups, the limit is {MAX_GROUPS}: have the provider send those "
            "that matter here"
        )
    groups = (issuer.groups.get(one) or qualified(one, issuer) for one in given)
    return frozenset(one for one in groups if validation.name(one, "group") is None)


def _words(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the texts of a claim that has one or several."""
    value = claim(claims, name)
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _email(claims: Mapping[str, Any], issuer: Issuer) -> str | None:
    """Return the address, if the provider has verified that it is the person's."""
    address = claim(claims, issuer.claims.email)
    if not isinstance(address, str) or not 0 < len(address) <= MAX_EMAIL:
        return None
    # Some providers write a text for true.
    verified = claims.get("email_verified", issuer.trust_email)
    if verified is not True and verified != "true":
        return None
    # One that the directory does not take would keep the person out of it.
    return None if email_problem(address) else address


def _acr(checked: Checked) -> str | None:
    """Return the values of the login's strength, separated by blanks as in RFC 9470.

    What a value means is agreed on with each provider (OpenID Connect Core 1.0, section 2). So
    those are left out that this issuer may not say.
    """
    accepted = checked.issuer.accepted_acr_values
    values = _words(checked.claims, checked.issuer.claims.acr)
    text = " ".join(each for each in values if accepted is None or each in accepted)
    return text if text and validation.name(text, "acr") is None else None
