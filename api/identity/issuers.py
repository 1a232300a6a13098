"""The OpenID Connect providers whose tokens are taken, from the TOML file ``PLACET_ISSUERS``.

docs/identity.md explains the file. It is read once, when the server starts.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from api.settings import PREFIX, ConfigurationError
from domain import validation
from domain.names import folded, is_reserved, normal
from domain.values import Role

# Of RFC 7518, section 3.1, and RFC 9864 those with a public key. What is symmetric is refused,
# because everybody who can check such a token can also make one.
Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
]
MAX_SKEW = 300
_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,39}")
_SEPARATOR = ":"


def load_issuers(file: Path | None) -> tuple["Issuer", ...]:
    """Read the issuers in the order of the file; none without a file.

    Raises ConfigurationError, which names the file and all that is wrong in it.
    """
    if file is None:
        return ()
    where = f"{PREFIX}ISSUERS: {file}"
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{where} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{where} is not TOML: {error}") from None
    try:
        return tuple(_File.model_validate(given).issuers)
    except ValidationError as error:
        raise ConfigurationError(f"{where} is wrong:\n{_explain(error)}") from None


def _url(given: str) -> str:
    """Check an address: https, or http on this machine."""
    parts = urlsplit(given)
    if parts.query or parts.fragment or parts.username or not parts.hostname:
        raise ValueError(f"{given!r} is no address: write it as https://login.example.com/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError(f"{given!r} must begin with https://; http:// is for this machine only")
    return given


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _alias(given: str) -> str:
    if not _ALIAS.fullmatch(given):
        raise ValueError(
            f"{given!r} is no alias: write up to 40 small letters, digits and hyphens, with a "
            "letter first"
        )
    if is_reserved(given):
        raise ValueError(f"the alias {given!r} is reserved for the service")
    return given


def _name(given: str) -> str:
    if problem := validation.name(given, "this name"):
        raise ValueError(problem)
    return normal(given)


def _role(given: object) -> Role:
    try:
        return Role(str(given))
    except ValueError:
        known = ", ".join(Role)
        raise ValueError(f"{given!r} is no role; the roles are {known}") from None


def _several(given: Any) -> Any:
    """Take one word as a list of one."""
    return [given] if isinstance(given, str) else given


_Url = Annotated[str, AfterValidator(_url)]
_Name = Annotated[str, AfterValidator(_name)]
_Roles = Annotated[
    list[Annotated[Role, PlainValidator(_role)]], BeforeValidator(_several), Field(min_length=1)
]
_Words = Annotated[list[_Name], BeforeValidator(_several), Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ClaimNames(_Table):
    """Where a token has what. A claim within another is written with a dot between them.

    ``id`` is the claim that becomes the principal's id, and ``subject`` the one that never changes
    and is never given to somebody else. ``None``: the tokens have no such claim.
    """

    id: _Name = "sub"
    subject: _Name = "sub"
    name: _Name = "name"
    email: _Name = "email"
    roles: _Name | None = "roles"
    groups: _Name | None = "groups"
    queues: _Name | None = None
    acr: _Name = "acr"

    @model_validator(mode="after")
    def _address_is_no_id(self) -> "ClaimNames":
        if self.email in {self.id, self.subject}:
            raise ValueError(
                "id and subject must not be the claim of the e-mail address: addresses are given "
                "to other people. Use sub, or another claim that stays with the person"
            )
        return self


class SignIn(_Table):
    """How people sign in to the console: as a client that is registered at the provider.

    ``label`` is on the button. A client without a secret is a public one. The secret is in a file,
    so that it is not in this one. ``acr_values`` and ``max_age`` (in seconds) are asked for at
    every sign-in.
    """

    client_id: Annotated[str, Field(min_length=1)]
    client_secret_file: Annotated[Path | None, Field(strict=False)] = None
    scopes: _Words = ["openid", "profile", "email"]
    label: _Name | None = None
    acr_values: list[_Name] = []
    max_age: Annotated[int | None, Field(ge=0)] = None

    @model_validator(mode="after")
    def _asks_for_identity(self) -> "SignIn":
        if "openid" not in self.scopes:
            raise ValueError("scopes must have openid: without it there is no ID token")
        if any(" " in acr for acr in self.acr_values):
            raise ValueError("acr_values must not hold blanks: write one value an entry")
        self.client_secret()
        return self

    def client_secret(self) -> str | None:
        """Read the secret, None for a public client. Raises ValueError if the file has none.

        It is read for every sign-in, so that it can be rotated without a restart.
        """
        file = self.client_secret_file
        if file is None:
            return None
        try:
            secret = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            msg = f"client_secret_file: {file} can't be read: {error.strerror}"
            raise ValueError(msg) from None
        if not secret:
            msg = f"client_secret_file: {file} is empty"
            raise ValueError(msg)
        return secret


class Issuer(_Table):
    """One provider. ``audiences``: a token must be for one of them.

    ``clock_skew`` is how many seconds the clocks may differ by. ``refresh`` is after how many
    seconds its keys are read again. ``roles`` says which roles a value of the claim gives,
    ``default_roles`` are for everybody with a valid token. ``groups`` gives groups another name;
    of the first issuer, groups that it does not name keep theirs, and those of others get the
    issuer's alias before it. ``id_mapping`` gives the ids of before to some values of the claim of
    the id. ``require`` are claims that a token must have, with their values. ``trust_email``: its
    addresses are verified also if a token does not say so. ``accepted_acr_values`` are the values
    of the claim acr that count if this issuer says them; None means all.
    """

    issuer: _Url
    alias: Annotated[str, AfterValidator(_alias)]
    audiences: _Words
    algorithms: Annotated[list[Algorithm], BeforeValidator(_several), Field(min_length=1)] = [
        "RS256"
    ]
    clock_skew: Annotated[int, Field(ge=0, le=MAX_SKEW)] = 30
    refresh: Annotated[int, Field(ge=10, le=86_400)] = 3_600
    jwks_uri: _Url | None = None
    require: Mapping[str, str] = {}
    trust_email: bool = False
    accepted_acr_values: list[_Name] | None = None
    claims: ClaimNames = ClaimNames()
    roles: Mapping[str, _Roles] = {}
    default_roles: list[Annotated[Role, PlainValidator(_role)]] = []
    groups: Mapping[str, _Name] = {}
    id_mapping: Mapping[str, _Name] = {}
    sign_in: SignIn | None = None
    first: bool = False

    @model_validator(mode="after")
    def _gives_nobody_the_services_name(self) -> "Issuer":
        for value, name in self.id_mapping.items():
            if is_reserved(name):
                raise ValueError(f"id_mapping.{value}: the id {name!r} is reserved for the service")
        return self

    @property
    def label(self) -> str:
        """What the button to sign in says."""
        chosen = None if self.sign_in is None else self.sign_in.label
        return chosen or self.alias


class _File(_Table):
    issuers: Annotated[Sequence[Issuer], Field(min_length=1), BeforeValidator(list)]

    @model_validator(mode="after")
    def _are_different(self) -> "_File":
        for what in ("issuer", "alias"):
            values = [getattr(one, what) for one in self.issuers]
            twice = {value for value in values if values.count(value) > 1}
            if twice:
                raise ValueError(f"two issuers have the {what} {min(twice)!r}; give each its own")
        if any(one.first for one in self.issuers):
            raise ValueError("first can't be set: it is the issuer that comes first in the file")
        first, *others = self.issuers
        object.__setattr__(self, "issuers", (first.model_copy(update={"first": True}), *others))
        return self


def belongs_to(id_: str, issuer: Issuer) -> bool:
    """Whether an id has the form of those of an issuer that is not the first."""
    return folded(id_).startswith(folded(issuer.alias) + _SEPARATOR)


def qualified(value: str, issuer: Issuer) -> str:
    """Return a value of an issuer's token as a name among those of all issuers."""
    return value if issuer.first else f"{issuer.alias}{_SEPARATOR}{value}"


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        path = ".".join(str(part) for part in problem["loc"] if part != "[key]")
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "there is nothing of this name"
        lines.append(f"  {path}: {message}" if path else f"  {message}")
    return "\n".join(lines)
