"""The URL of the SMTP server says how the connection is protected."""

import pytest

from api.settings import ConfigurationError, Settings
from api.smtp_server import SmtpServer, smtp_server


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://relay", SmtpServer("relay", 25)),
        ("smtps://relay", SmtpServer("relay", 465, tls=True)),
        ("smtp+starttls://relay", SmtpServer("relay", 587, starttls=True)),
        (
            "smtps://a%40b:p%3As@relay:7",
            SmtpServer("relay", 7, tls=True, user="a@b", password="p:s"),
        ),
        ("smtp://u:p@localhost", SmtpServer("localhost", 25, user="u", password="p")),
        ("smtp://u:p@[::1]:26/", SmtpServer("::1", 26, user="u", password="p")),
    ],
)
def test_a_url_names_server_port_and_protection(url: str, server: SmtpServer) -> None:
    assert smtp_server(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "relay:25",
        "http://relay",
        "smtp://",
        "smtp://relay:x",
        "smtp://relay/path",
        "smtps://u@relay",
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"smtps?://"):
        smtp_server(url)


def test_a_password_is_never_sent_in_the_clear_nor_shown() -> None:
    with pytest.raises(ValueError, match="in the clear") as error:
        smtp_server("smtp://user:secret@relay")
    assert "secret" not in str(error.value)


def test_an_incomplete_configuration_of_mail_is_named_at_the_start() -> None:
    for given, named in (
        ({"smtp_url": "smtp://user:secret@relay"}, "PLACET_SMTP_URL"),
        ({"smtp_url": "smtp://relay"}, "PLACET_MAIL_FROM"),
        ({"smtp_url": "smtp://relay", "mail_from": "a@b.example"}, "PLACET_PUBLIC_URL"),
        ({"mail_from": "Placet"}, "PLACET_MAIL_FROM"),
    ):
        with pytest.raises(ConfigurationError, match=named) as error:
            Settings.read(**given)
        assert "secret" not in str(error.value)
    right = Settings.read(
        smtp_url="smtps://user:secret@relay",
        mail_from="Placet <a@b.example>",
        public_url="https://placet.example.com/",
    )
    assert "secret" not in repr(right)
