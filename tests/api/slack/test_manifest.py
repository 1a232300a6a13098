"""The manifest in the documentation is the app that the code needs."""

import re
import tomllib
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from api.settings import Settings
from api.slack.http import PATH
from tests.api.slack.manifest import documentation, manifest, scopes
from tests.api.slack.slack_api import SCOPES

CLIENT = Path("api/slack/client.py")
CALL = re.compile(r"self\.api\.([a-z]+)_([A-Za-z_]+)\(")
APP_LEVEL = "apps.connections.open"
"""This one takes the app-level token, whose scope the documentation names."""


def called() -> set[str]:
    """Return the methods of Slack that the code calls, as ``chat.postMessage``."""
    source = (Path(__file__).parents[3] / CLIENT).read_text()
    return {f"{family}.{method.replace('_', '.')}" for family, method in CALL.findall(source)}


def test_the_manifest_asks_for_exactly_the_scopes_of_the_methods_that_are_called() -> None:
    methods = called() - {APP_LEVEL}
    assert methods == set(SCOPES)
    needed = {SCOPES[method] for method in methods} - {None}
    # Without it users.info has no address.
    needed.add("users:read.email")
    assert set(scopes()) == needed
    assert len(scopes()) == len(set(scopes()))
    assert "connections:write" in documentation()


def test_the_manifest_lets_the_app_write_to_people_and_hear_of_clicks() -> None:
    app = manifest()
    assert app["features"]["app_home"]["messages_tab_enabled"] is True
    assert app["settings"]["interactivity"]["is_enabled"] is True
    assert app["settings"]["socket_mode_enabled"] is True
    assert len(app["display_information"]["name"]) <= 35
    assert len(app["display_information"]["description"]) <= 140


def test_the_other_settings_are_those_of_requests_over_http() -> None:
    [found] = re.findall(r"```yaml\n(settings:.*?)```", documentation(), re.DOTALL)
    settings = yaml.safe_load(found)["settings"]
    assert settings["interactivity"]["request_url"].endswith(PATH)
    assert settings["socket_mode_enabled"] is False
    assert settings.keys() == manifest()["settings"].keys()


def test_the_documented_variables_and_files_are_those_of_the_server() -> None:
    text = documentation()
    named = {name.lower() for name in re.findall(r"PLACET_(SLACK_[A-Z_]+|PUBLIC_URL)\b", text)}
    assert named <= Settings.model_fields.keys()
    [file] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert "groups" in tomllib.loads(file)
