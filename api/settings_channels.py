"""The settings of what tells people and programs: the address in links, webhooks, apprise."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings


class ChannelSettings(BaseSettings):
    """Part of ``api.settings.Settings``."""

    public_url: Annotated[
        str | None,
        Field(
            description="Address under which people reach the console, such as "
            "https://placet.example.com: links in messages begin with it. If it is not set, it is "
            "made of PLACET_HOST and PLACET_PORT."
        ),
    ] = None
    webhook_allow: Annotated[
        str,
        Field(
            description="Where webhooks may go besides public addresses: networks, such as "
            "10.1.0.0/16, addresses, and names of hosts, separated by commas. Only these may have "
            "a URL that begins with http://."
        ),
    ] = ""
    apprise: Annotated[
        Path | None,
        Field(
            description="TOML file with the URLs of the library apprise by which groups and "
            "people are told. It needs the extra apprise of this package."
        ),
    ] = None

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"https", "http"} or not parts.hostname or "@" in parts.netloc:
            raise ValueError("not an address; write it as https://placet.example.com")
        if parts.query or parts.fragment:
            raise ValueError("an address has neither a ? nor a # in it")
        return value.rstrip("/")
