"""The manifest of the Slack app, as docs/notifications.md has it to paste."""

import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

DOCS = Path(__file__).parents[3] / "docs" / "notifications.md"


def documentation() -> str:
    """Return the part of the documentation about Slack."""
    [part] = re.findall(r"^## Slack\n(.*?)(?=^## |\Z)", DOCS.read_text(), re.DOTALL | re.MULTILINE)
    return str(part)


def manifest() -> Any:
    """Return the manifest for Socket Mode."""
    [found] = re.findall(r"```yaml\n(display_information:.*?)```", documentation(), re.DOTALL)
    return yaml.safe_load(found)


def scopes() -> list[str]:
    """Return the scopes of the bot's token."""
    found: list[str] = manifest()["oauth_config"]["scopes"]["bot"]
    return found
