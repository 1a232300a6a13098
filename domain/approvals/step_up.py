"""Step-up: how a person must have logged in to decide, where the policy asks for it (RFC 9470).

What counts is the login with which the decision is sent. API keys have none, nor does what is
decided in advance, so neither ever does where a policy asks for one. A delegate decides with their
own login.
"""

from datetime import datetime

from domain.approvals.policy import Policy
from domain.values import Principal

REQUIRED = "the policy asks for a login"


def login_flaw(
    policy: Policy, acr: str | None, auth_time: datetime | None, at: datetime
) -> str | None:
    """Return what is wrong with a login for a decision at this moment; None if it will do.

    ``acr`` has its strengths, separated by blanks.
    """
    wanted = policy.acr_values
    if wanted and not set((acr or "").split()).intersection(wanted):
        has = f"this one has {acr}" if acr else "this one has none"
        return f"{REQUIRED} with one of the strengths {', '.join(wanted)}, and {has}"
    if policy.max_auth_age is None:
        return None
    seconds = policy.max_auth_age.total_seconds()
    if auth_time is None:
        return (
            f"{REQUIRED} in the last {seconds:g} seconds, and the token does not say when that was"
        )
    if at - auth_time > policy.max_auth_age:
        age = (at - auth_time).total_seconds()
        return f"{REQUIRED} in the last {seconds:g} seconds, and this one was {age:.0f} seconds ago"
    return None


def missing_login(policy: Policy, principal: Principal, now: datetime) -> str | None:
    """Return why the principal has to log in again to decide now; None if they have not to."""
    if not policy.asks_for_login:
        return None
    return login_flaw(policy, principal.acr, principal.auth_time, now)


def challenge(policy: Policy) -> str:
    """Return the value of the header WWW-Authenticate that asks for the login (RFC 9470).

    The values of a policy need no escapes, see :func:`domain.approvals.policy.check_policy`.
    """
    parts = [
        'error="insufficient_user_authentication"',
        'error_description="the policy asks for another login"',
    ]
    if policy.acr_values:
        parts.append(f'acr_values="{" ".join(policy.acr_values)}"')
    if policy.max_auth_age is not None:
        # Whole seconds, as the parameter of that name in OpenID Connect has them.
        parts.append(f'max_age="{int(policy.max_auth_age.total_seconds())}"')
    return f"Bearer {', '.join(parts)}"
