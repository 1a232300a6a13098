"""The file of PLACET_APPRISE: by which URLs of the library groups and people are told.

The URLs hold secrets, and the library connects wherever they say. So they are configured by an
administrator of the server, and no error has a URL in it.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from api.settings import PREFIX, ConfigurationError
from domain.names import normal

_WHERE = f"{PREFIX}APPRISE"


@dataclass(frozen=True, slots=True)
class AppriseUrls:
    """The URLs of groups and of people, by their names and ids in normal form."""

    groups: Mapping[str, tuple[str, ...]]
    people: Mapping[str, tuple[str, ...]]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    groups: dict[str, list[str]] = {}
    people: dict[str, list[str]] = {}


def load_apprise(file: Path | None) -> AppriseUrls | None:
    """Read the file; None without one.

    Raises ConfigurationError if the library is not installed, and for whatever is wrong in the
    file.
    """
    if file is None:
        return None
    library = library_or_error()
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{_WHERE}: {file} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{_WHERE}: {file} is not TOML: {error}") from None
    try:
        read = _File.model_validate(given)
    except ValidationError as error:
        problems = "\n".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
        )
        raise ConfigurationError(f"{_WHERE}: {file} is wrong:\n{problems}") from None
    return AppriseUrls(
        groups=_checked(library, file, "groups", read.groups),
        people=_checked(library, file, "people", read.people),
    )


def library_or_error() -> Any:
    """Return the module of the library. Raises ConfigurationError if it is not installed."""
    try:
        return import_module("apprise")
    except ImportError:
        raise ConfigurationError(
            f"{_WHERE} is set, and the library apprise is not installed; install it with "
            "`pip install 'placet-server[apprise]'`, or leave the variable out"
        ) from None


def _checked(
    library: Any, file: Path, table: str, given: Mapping[str, list[str]]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, urls in given.items():
        for number, url in enumerate(urls, 1):
            if not library.Apprise.instantiate(url):
                raise ConfigurationError(
                    f"{_WHERE}: {file}: URL {number} of {table}.{name} is none that the library "
                    "apprise knows; see https://appriseit.com for the form of each service"
                )
        if normal(name) in found:
            raise ConfigurationError(f"{_WHERE}: {file}: {table}.{name} is there twice")
        found[normal(name)] = tuple(urls)
    return found
