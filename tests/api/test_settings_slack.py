"""The settings of Slack: what belongs together, and what each token looks like."""

import pytest

from api.settings import ConfigurationError, Settings

BOT, APP = "xoxb-1", "xapp-1"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"slack_bot_token": BOT, "slack_app_token": APP},
        {"slack_bot_token": BOT, "slack_signing_secret": "s"},
        {"slack_bot_token": BOT, "slack_app_token": APP, "slack_api_url": "http://127.0.0.1:9/"},
    ],
)
def test_slack_is_left_out_or_complete(given: dict[str, str]) -> None:
    assert Settings.read(**given).slack_bot_token == given.get("slack_bot_token")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"slack_app_token": APP}, "PLACET_SLACK_BOT_TOKEN: set it"),
        ({"slack_bot_token": BOT}, "PLACET_SLACK_APP_TOKEN for Socket Mode"),
        ({"slack_bot_token": APP, "slack_app_token": APP}, "a bot token begins with xoxb-"),
        ({"slack_bot_token": BOT, "slack_app_token": BOT}, "begins with xapp-"),
        (
            {"slack_bot_token": BOT, "slack_app_token": APP, "slack_api_url": "http://slack.com/"},
            "PLACET_SLACK_API_URL",
        ),
    ],
)
def test_what_is_wrong_is_named_without_the_tokens(given: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as refused:
        Settings.read(**given)
    assert BOT not in str(refused.value)
    assert APP not in str(refused.value)
