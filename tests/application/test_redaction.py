"""What is taken out of texts with URLs, and what is left of them."""

import pytest

from application.redaction import without_secrets


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("no connection: [Errno 111]", "no connection: [Errno 111]"),
        ("ann@example.com? #1", "ann@example.com? #1"),
        (
            "403, message='Invalid response status', url='wss://slack.example/link/?ticket=a&b=c'",
            "403, message='Invalid response status', url='wss://slack.example/link/?***'",
        ),
        ("URL('https://hooks.example/in?token=abc')", "URL('https://hooks.example/in?***')"),
        ("smtps://ann:p%40ss@mail.example:465", "smtps://***@mail.example:465"),
        ("smtp://ann:p@ss@mail.example", "smtp://***@mail.example"),
        ("postgresql://ann:pass@/placet?host=/run&password=x", "postgresql://***@/placet?***"),
        (
            "http://a.example/x#token=1 and http://b.example/?c",
            "http://a.example/x#*** and http://b.example/?***",
        ),
        ("ready on http://127.0.0.1:8000/, waits", "ready on http://127.0.0.1:8000/, waits"),
    ],
)
def test_secrets_of_urls_are_taken_out(text: str, left: str) -> None:
    assert without_secrets(text) == left
