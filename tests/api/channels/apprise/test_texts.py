"""What a hostile title can do in a chat: nothing."""

import pytest

from api.channels.apprise.texts import MAX_TITLE, harmless


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Pay invoice 17", "Pay invoice 17"),
        ("Two\r\nlines\u2028and \u202eturned", "Two lines and (U+202E)turned"),
        ("\u202e", "(U+202E)"),
        (" \u2800\u200d ", "(a title of blanks)"),
        ("@everyone <!channel>", "@\u200beveryone \u2039!channel\u203a"),
        ("[Approve](https://evil.example)", "(Approve)(https\u200b:\u200b//evil\u200b.example)"),
        (
            "www.evil.example `code` **loud**",
            "www\u200b.evil\u200b.example 'code' \u2217\u2217loud\u2217\u2217",
        ),
        (
            "Pay ~~9~~ ||10|| euros",
            "Pay \u223c\u223c9\u223c\u223c \u2223\u222310\u2223\u2223 euros",
        ),
        ("x" * 500, "x" * (MAX_TITLE - 1) + "\u2026"),
    ],
)
def test_a_title_is_one_line_without_mentions_links_or_markup(title: str, shown: str) -> None:
    assert harmless(title) == shown
