"""The settings of e-mail."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from api.mail_addresses import Sender, sender_of
from api.settings_channels import ChannelSettings
from api.smtp_server import SmtpServer, smtp_server


class MailSettings(ChannelSettings):
    """Part of ``api.settings.Settings``."""

    smtp_url: Annotated[
        str | None,
        Field(
            repr=False,
            description="SMTP server that takes mails, such as "
            "smtp+starttls://user:password@mail.example.com:587, smtps://... with TLS from the "
            "beginning, or smtp://... without TLS. If it is not set, no mail is sent.",
        ),
    ] = None
    mail_from: Annotated[
        str,
        Field(
            description="Sender of mails, such as Placet <placet@example.com>. It must be set if "
            "PLACET_SMTP_URL is."
        ),
    ] = ""
    smtp_timeout: Annotated[
        float,
        Field(
            gt=0,
            le=600,
            description="Seconds to wait for an answer of the SMTP server. Then the mail is tried "
            "again later.",
        ),
    ] = 60.0

    @property
    def smtp_server(self) -> SmtpServer | None:
        """The SMTP server in ``smtp_url``."""
        return None if self.smtp_url is None else smtp_server(self.smtp_url)

    @property
    def sender(self) -> Sender:
        """The sender in ``mail_from``."""
        return sender_of(self.mail_from)

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp_url(cls, value: str | None) -> str | None:
        if value is not None:
            smtp_server(value)
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_sender(cls, value: str) -> str:
        if value:
            sender_of(value)
        return value

    @model_validator(mode="after")
    def _mail_is_complete(self) -> Self:
        if self.smtp_url is not None:
            if not self.mail_from:
                raise ValueError(
                    "PLACET_SMTP_URL is set, so set PLACET_MAIL_FROM: Placet <placet@example.com>"
                )
            if self.public_url is None:
                raise ValueError(
                    "PLACET_SMTP_URL is set, so set PLACET_PUBLIC_URL, with which the links in "
                    "mails begin: https://placet.example.com"
                )
        return self
