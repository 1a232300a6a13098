"""The file that says which channel in Slack gets the requests of a group."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from api.settings import PREFIX, ConfigurationError
from domain import validation
from domain.names import normal

# C begins the ids of channels, G those of older private ones.
_CHANNEL = re.compile(r"[CG][A-Z0-9]{2,20}")


def load_channels(file: Path | None) -> dict[str, str]:
    """Read the ids of channels by the groups, in their normal form; none without a file.

    Raises ConfigurationError, which names the file and what is wrong in it.
    """
    if file is None:
        return {}
    where = f"{PREFIX}SLACK_CHANNELS: {file}"
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{where} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{where} is not TOML: {error}") from None
    groups = given.get("groups")
    if set(given) != {"groups"} or not isinstance(groups, Mapping):
        raise ConfigurationError(f"{where} must have one table, [groups], and nothing else")
    channels: dict[str, str] = {}
    for group, channel in groups.items():
        if problem := validation.name(group, f"the group {group!r}"):
            raise ConfigurationError(f"{where}: {problem}")
        if not isinstance(channel, str) or not _CHANNEL.fullmatch(channel):
            raise ConfigurationError(
                f"{where}: {group}: {channel!r} is not the id of a channel, such as C0123ABCD; "
                "Slack shows it at the end of the details of the channel"
            )
        if normal(group) in channels:
            raise ConfigurationError(f"{where}: the group {normal(group)} is named twice")
        channels[normal(group)] = channel
    return channels
