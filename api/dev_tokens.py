"""Tokens of development mode: a few made-up people, in a file in the data directory."""

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from api.settings import ConfigurationError
from application.command_handling.outcomes import Accepted
from application.directory import Directory, KnownPerson
from domain.authorization import SERVICE
from domain.directory.state import PersonSource
from domain.values import Principal, Role

_log = structlog.get_logger(__name__)

FILE = "dev-tokens.json"

PEOPLE: dict[str, tuple[Role, frozenset[str]]] = {
    "operator": (Role.OPERATOR, frozenset()),
    "engine": (Role.ENGINE, frozenset()),
    "approver-a": (Role.APPROVER, frozenset({"finance", "managers"})),
    "approver-b": (Role.APPROVER, frozenset({"finance"})),
    "approver-c": (Role.APPROVER, frozenset({"legal"})),
    "auditor": (Role.AUDITOR, frozenset()),
    "admin": (Role.ADMIN, frozenset()),
}


def dev_principals(data: Path) -> dict[str, Principal]:
    """Return the principal of each token. Creates ``DATA/dev-tokens.json`` if it is missing.

    The file maps names to tokens. Only its owner can read it, and it stays over restarts. Raises
    ConfigurationError if it can't be read or written.
    """
    path = data / FILE
    try:
        kept = _read(path)
        tokens = {name: kept.get(name) or secrets.token_urlsafe(32) for name in PEOPLE}
        if tokens != kept:
            _write(path, tokens)
        path.chmod(0o600)
    except (OSError, msgspec.MsgspecError) as error:
        msg = f"the development tokens in {path} can't be used: {error}; repair or delete the file"
        raise ConfigurationError(msg) from error
    return {
        tokens[name]: Principal(id=name, name=name, roles=frozenset({role}), groups=groups)
        for name, (role, groups) in PEOPLE.items()
    }


async def record_people(directory: Directory, development: Mapping[str, Principal]) -> None:
    """Have the directory know the made-up people, as it knows those who sign in."""
    people = [
        KnownPerson(id=each.id, groups=each.groups, roles=each.roles, source=PersonSource.TOKEN)
        for each in development.values()
    ]
    for outcome in await directory.record_all(SERVICE, people):
        if not isinstance(outcome, Accepted):
            _log.warning("development_people_not_recorded", reason=str(outcome))
            return


def _read(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}


def _write(path: Path, tokens: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The file is replaced in one step, and others can never read it.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=FILE)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(tokens)) + b"\n")
    Path(name).replace(path)
