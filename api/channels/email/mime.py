"""The mail of a letter: its headers and both of its bodies."""

import textwrap
from binascii import b2a_qp
from collections.abc import Sequence
from datetime import datetime
from email.header import Header
from email.message import Message
from email.policy import compat32
from email.utils import format_datetime, formataddr
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined

from api.channels.email.letter import Fact, Letter
from api.mail_addresses import Mailbox, Sender

WIDTH = 72
# The newer policies parse each header that they are given, which takes ten times as long.
_POLICY = compat32.clone(linesep="\r\n", cte_type="7bit")


class Mailbag:
    """Makes mails that come from one sender."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._html = _environment(escaped=True).get_template("letter.jinja")
        self._text = _environment(escaped=False).get_template("letter.jinja")

    def mail(
        self, letter: Letter, to: Mailbox, *, id_: UUID, thread: str | None, now: datetime
    ) -> Message:
        """Return the mail. Its Message-ID follows from ``id_``, so that a second one is known.

        Mails of one ``thread`` refer to the same message (RFC 5322, section 3.6.4), which no one
        has, so that mail programs show them together.
        """
        mail = Message(policy=_POLICY)
        mail["From"] = formataddr(self._sender.mailbox)
        mail["To"] = formataddr(to)
        mail["Subject"] = Header(letter.subject, header_name="Subject").encode()
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = f"<{id_}@{self._sender.domain}>"
        if thread is not None:
            root = f"<{thread}@{self._sender.domain}>"
            mail["In-Reply-To"] = root
            mail["References"] = root
        # RFC 2369: a page where people choose what they get. It asks them to sign in.
        mail["List-Unsubscribe"] = f"<{letter.preferences}>"
        # RFC 3834, and the same for Exchange: no answer of a machine is wanted.
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail["MIME-Version"] = "1.0"
        mail["Content-Type"] = "multipart/alternative"
        mail.attach(_part("plain", tidy(self._text.render(letter=letter, form="text"))))
        mail.attach(_part("html", self._html.render(letter=letter, form="html")))
        return mail


def _part(kind: str, text: str) -> Message:
    """Return a body. Its lines are short and in ASCII, however the text is (RFC 2045)."""
    part = Message(policy=_POLICY)
    part["Content-Type"] = f'text/{kind}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = "quoted-printable"
    encoded = b2a_qp(text.encode(errors="replace"), istext=True)
    part.set_payload(encoded.decode("ascii"))
    return part


def tidy(text: str) -> str:
    """Return a text without blanks at the ends of lines, and at most one empty line in a row."""
    lines: list[str] = []
    for line in text.strip("\n").split("\n"):
        # RFC 3676: the line before a signature has a blank at its end.
        kept = line if line == "-- " else line.rstrip()
        if kept or (lines and lines[-1]):
            lines.append(kept)
    return "\n".join(lines) + "\n"


def _environment(*, escaped: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("api.channels.email", "templates"),
        autoescape=escaped,  # noqa: S701 - the other one is plain text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["wrapped"] = _wrapped
    environment.filters["padded"] = _padded
    return environment


def _wrapped(text: str, indent: str = "") -> str:
    """Break long lines between words, and begin each with ``indent``."""
    lines: list[str] = []
    for line in str(text).splitlines() or [""]:
        lines += textwrap.wrap(
            line,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [indent.rstrip()]
    return "\n".join(lines)


def _padded(label: str, facts: Sequence[Fact]) -> str:
    return label.ljust(max(len(fact.label) for fact in facts) + 2)
