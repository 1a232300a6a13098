"""Mails say what is wanted, and nothing in them can be mistaken or does what it should not."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser
from time import process_time
from uuid import uuid4

import pytest
from msgspec.structs import replace

from api.channels.email.letter import letter_for
from api.channels.email.mime import Mailbag
from api.mail_addresses import mailbox_of, sender_of
from application.notifications.message import Message, MessageKind
from domain.approvals.policy import Policy, Requirement
from tests.api.channels.email.messages import NOW, asked, digest, message
from tests.domain import facts

SITE = "https://placet.example.com"
SENDER = sender_of("Placet <placet@example.com>")
BAG = Mailbag(SENDER)
HOSTILE = (
    "Free\r\nBcc: all@evil.example\r\n\r\n<script>alert(1)</script> \u202egnp.exe "
    "http://evil.example/approve www.evil.example ann@evil.example @everyone {{ 7 * 7 }}"
)


def mail_of(message: Message, name: str | None = "Ann") -> EmailMessage:
    """Return the mail as its reader's program parses it."""
    letter = letter_for(message, SITE, NOW)
    to = mailbox_of("ann@example.com", name)
    mail = BAG.mail(letter, to, id_=message.id, thread="root", now=NOW)
    parsed = message_from_bytes(mail.as_bytes(), policy=default)
    assert parsed.defects == []
    return parsed


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")


class Page(HTMLParser):
    """What a page of HTML has: its elements, where its links go, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.links: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links |= {value or "" for name, value in attrs if name in {"href", "src"}}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_deadline_at_the_end_of_time_is_in_a_mail_of_every_zone() -> None:
    # The reader is in Berlin, where it is in the year 10000.
    mail = mail_of(message(asked(), deadline=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)))
    assert "Deadline:     31 Dec 9999, 23:59 UTC (in " in body(mail, "plain")


def test_a_mail_says_what_is_wanted_in_both_of_its_bodies() -> None:
    policy = Policy(
        requirements=(
            Requirement(groups=("finance",), count=2),
            Requirement(users=("cleo",), stage=2),
        )
    )
    wanted = message(
        asked(
            title="Pay invoice 4711", payload={"amount": 12, "to": {"name": "Acme"}}, policy=policy
        ),
        description="For the bridge.\nOrdered in March.",
        deadline=NOW + timedelta(hours=5),
    )
    mail = mail_of(wanted)
    link = f"{SITE}/approvals/{wanted.execution_id}.1"
    assert mail["Subject"] == "[Placet] Pay invoice 4711"
    assert body(mail, "plain").splitlines() == [
        "Engine asks for your decision.",
        "",
        "    Pay invoice 4711",
        "",
        "| For the bridge.",
        "| Ordered in March.",
        "",
        "Workflow:     travel",
        "Started by:   Olivia",
        "Deadline:     2 Mar 2026, 18:00 CET (in 5 hours)",
        "Still needed: 2 of finance; 1 of cleo in stage 2",
        "",
        "What is to be done:",
        "  amount: 12",
        "  to / name: Acme",
        "",
        "Look and decide:",
        link,
        "",
        "-- ",
        "You get this mail because you may decide this approval.",
        f"Choose how you are told: {SITE}/preferences",
    ]
    page = Page(body(mail, "html"))
    assert page.links == {link, f"{SITE}/preferences"}
    for text in (
        "Pay invoice 4711",
        "Ordered in March.",
        "2 of finance",
        "Acme",
        "Look and decide",
    ):
        assert text in page.text


def test_mails_of_one_approval_are_shown_together_and_ask_machines_for_no_answer() -> None:
    first, second = message(asked()), message(asked(facts.commented()), MessageKind.COMMENTED)
    mails = [mail_of(first), mail_of(second)]
    assert [mail["Message-ID"] for mail in mails] == [
        f"<{first.id}@example.com>",
        f"<{second.id}@example.com>",
    ]
    for mail in mails:
        assert mail["References"] == mail["In-Reply-To"] == "<root@example.com>"
        assert mail["Subject"] == "[Placet] Trip to Eindhoven"
        assert mail["From"] == "Placet <placet@example.com>"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert mail["List-Unsubscribe"] == f"<{SITE}/preferences>"


def test_a_hostile_request_is_only_text_in_a_mail() -> None:
    payload = {HOSTILE: HOSTILE, "image": "<img src=x onerror=alert(1)>", "long": "y" * 100_000}
    hostile = message(asked(title=HOSTILE, payload=payload), description=f"{HOSTILE}\n-- \n.\nQUIT")
    mail = mail_of(hostile, name=HOSTILE)
    assert set(mail.keys()) <= {
        *("From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References"),
        *("List-Unsubscribe", "Auto-Submitted", "X-Auto-Response-Suppress"),
        *("MIME-Version", "Content-Type"),
    }
    assert len(mail["To"].addresses) == 1
    assert mail["To"].addresses[0].addr_spec == "ann@example.com"
    assert "[U+202E]gnp" in mail["Subject"]
    page, text = Page(body(mail, "html")), body(mail, "plain")
    assert not {"script", "img", "b"} & page.elements
    assert page.links == {f"{SITE}/approvals/{hostile.execution_id}.1", f"{SITE}/preferences"}
    # Nothing of it is a link for a mail program that looks for some.
    for shown in (text, page.text):
        rest = shown.replace(SITE, "")
        for link in ("http://", "www.evil", "evil.example", "ann@", "all@"):
            assert link not in rest
        assert "\u202e" not in shown
        assert "{{ 7 * 7 }}" in shown
        assert "<script>alert(1)</script>" in shown
    # Nobody can write what looks like the end of the mail, or its own words.
    assert text.count("\n-- \n") == 1
    assert all(line.startswith("| ") for line in text.splitlines() if line.endswith("QUIT"))
    assert len(mail.as_bytes()) < 30_000


@pytest.mark.parametrize(
    ("of", "kind", "said"),
    [
        (asked(facts.delegated("cleo")), MessageKind.DELEGATED, "Ann handed this decision to you."),
        (
            asked(facts.commented("Why not by train?")),
            MessageKind.COMMENTED,
            "Ann commented on this approval.",
        ),
        (asked(facts.granted()), MessageKind.RESOLVED, "The approval is granted."),
        (asked(facts.rejected()), MessageKind.RESOLVED, "The approval is rejected."),
        (asked(facts.withdrawn()), MessageKind.RESOLVED, "The request was withdrawn."),
        (asked(facts.expired()), MessageKind.RESOLVED, "The approval expired."),
        (asked(facts.changes_requested()), MessageKind.RESOLVED, "Changes are requested"),
        (asked(facts.granted(), facts.revoked()), MessageKind.REVOKED, "Ann took the grant back."),
        (asked(), MessageKind.REMINDER, "This approval still waits for your decision."),
        (asked(), MessageKind.STAGE_BEGAN, "Your decision is asked for now."),
        (asked(), MessageKind.ESCALATED, "The deadline passed without a decision"),
        (asked(), MessageKind.TOO_FEW_PEOPLE, "needs more people than are known"),
    ],
    # The histories have no name that is the same in all processes that collect the tests.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_kind_of_message_says_what_happened(of: object, kind: MessageKind, said: str) -> None:
    text = body(mail_of(message(of, kind)), "plain")  # type: ignore[arg-type]
    assert said in " ".join(text.split())


def test_a_title_in_which_there_is_nothing_to_see_says_so() -> None:
    mail = mail_of(message(asked(title=" \u2800\u200d ")))
    assert mail["Subject"] == "[Placet] (a title of blanks)"


def test_what_somebody_wrote_is_quoted() -> None:
    text = body(
        mail_of(message(asked(facts.commented("Why?\nBy train")), MessageKind.COMMENTED)), "plain"
    )
    assert "Ann:\n> Why?\n> By train\n" in text


def test_a_digest_begins_with_what_is_to_be_decided_and_names_each_approval_once() -> None:
    other = replace(
        message(asked(facts.granted(), title="Hotel"), MessageKind.RESOLVED), execution_id=uuid4()
    )
    opened, reminder = message(asked()), message(asked(), MessageKind.REMINDER)
    mail = mail_of(digest(other, opened, reminder))
    assert mail["Subject"] == "[Placet] 1 approval for you to decide, 1 other with news"
    text = body(mail, "plain")
    assert text.count("Trip to Eindhoven") == 1
    assert "still waits" in text
    assert text.index("Trip to Eindhoven") < text.index("Hotel")
    assert "You chose to be told once a day." in text


def test_an_address_that_is_none_gets_into_no_header() -> None:
    for wrong in (
        "ann",
        "ann@",
        "a@b@c",
        "a@b.c\r\nBcc: x@y.z",
        "a b@c.d",
        "<a@b.c>",
        "a@b.c,d@e.f",
    ):
        with pytest.raises(ValueError, match="is not an address"):
            mailbox_of(wrong)
    assert mailbox_of(" ann@b\u00fccher.example ").address == "ann@xn--bcher-kva.example"


def test_of_a_large_payload_a_mail_shows_the_beginning_and_costs_little() -> None:
    some = {"lines": [{"number": number} for number in range(20)]}
    assert "and 8 more, which the page shows" in body(
        mail_of(message(asked(payload=some))), "plain"
    )
    large = {f"k{a}": {f"k{b}": list(range(100)) for b in range(30)} for a in range(30)}
    wanted = message(asked(payload=large))
    begin = process_time()
    texts = [body(mail_of(wanted), "plain") for _ in range(10)]
    assert process_time() - begin < 1
    text = texts[0]
    assert "and many more, which the page shows" in text
    assert len(text.splitlines()) < 40
