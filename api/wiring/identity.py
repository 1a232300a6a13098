"""Builds what finds out who calls: API keys, providers of OpenID Connect, and the directory."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from api.auth import Authenticator
from api.identity.identities import Identities
from api.identity.issuers import load_issuers
from api.identity.logins import Logins
from api.settings import Settings
from api.wiring.core import Core
from application.api_keys import ApiKeys
from application.directory import Directory
from application.sign_ins import SignIns
from application.substitutes import Substitutes
from domain.values import Principal


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, as which person or program.

    ``authenticate`` returns the principal of a token, with those for whom it substitutes.
    ``development`` has the principals of tokens of made-up people.
    """

    keys: ApiKeys
    identities: Identities
    directory: Directory
    sign_ins: SignIns
    authenticator: Authenticator
    authenticate: Callable[[str | None], Awaitable[Principal | None]]
    logins: Logins
    development: Mapping[str, Principal]


def build_identity(
    settings: Settings,
    core: Core,
    substitutes: Substitutes,
    development: Mapping[str, Principal],
) -> Identity:
    """Build the check of tokens and sign-ins. Raises ConfigurationError."""
    keys = ApiKeys(core.pool, core.writer)
    identities = Identities(load_issuers(settings.issuers), core.pool)
    directory = Directory(core.pool, core.writer)
    sign_ins = SignIns(core.pool, directory, lambda: core.election.leads)
    authenticator = Authenticator(
        keys,
        development,
        read_again=core.read_again,
        identities=identities,
        directory=directory,
        sign_ins=sign_ins,
    )
    return Identity(
        keys=keys,
        identities=identities,
        directory=directory,
        sign_ins=sign_ins,
        authenticator=authenticator,
        authenticate=substitutes.after(authenticator.authenticate),
        logins=Logins(identities, core.pool),
        development=development,
    )
