"""The settings of Slack. They are described in docs/notifications.md."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

BOT_TOKEN = "xoxb-"  # noqa: S105 - what such a token begins with
APP_TOKEN = "xapp-"  # noqa: S105


class SlackSettings(BaseSettings):
    """Part of ``api.settings.Settings``."""

    slack_bot_token: Annotated[
        str | None,
        Field(
            repr=False,
            description="Bot token of the Slack app, which begins with xoxb-. If it is not set, "
            "Slack is not used.",
        ),
    ] = None
    slack_app_token: Annotated[
        str | None,
        Field(
            repr=False,
            description="App-level token of the Slack app, which begins with xapp-, for Socket "
            "Mode: the server connects to Slack and needs no public address.",
        ),
    ] = None
    slack_signing_secret: Annotated[
        str | None,
        Field(
            repr=False,
            min_length=1,
            description="Signing secret of the Slack app, if Slack sends what people click to "
            "/slack/interactions instead.",
        ),
    ] = None
    slack_channels: Annotated[
        Path | None,
        Field(
            description="TOML file with the channels in Slack that get the requests of a group. "
            "It is read once."
        ),
    ] = None
    slack_api_url: Annotated[
        str,
        Field(
            pattern=r"^(https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/])",
            description="Address of Slack's Web API; another one for GovSlack, or for tests.",
        ),
    ] = "https://slack.com/api/"

    @model_validator(mode="after")
    def _slack_is_complete(self) -> Self:
        others = (self.slack_app_token, self.slack_signing_secret, self.slack_channels)
        if self.slack_bot_token is None:
            if any(others):
                raise ValueError("PLACET_SLACK_BOT_TOKEN: set it, or no other setting of Slack")
            return self
        if not self.slack_bot_token.startswith(BOT_TOKEN):
            raise ValueError(f"PLACET_SLACK_BOT_TOKEN: a bot token begins with {BOT_TOKEN}")
        if self.slack_app_token is None and self.slack_signing_secret is None:
            raise ValueError(
                "set PLACET_SLACK_APP_TOKEN for Socket Mode, or PLACET_SLACK_SIGNING_SECRET for "
                "requests over HTTP, so that people can decide in Slack"
            )
        if self.slack_app_token is not None and not self.slack_app_token.startswith(APP_TOKEN):
            raise ValueError(f"PLACET_SLACK_APP_TOKEN: an app-level token begins with {APP_TOKEN}")
        return self
