"""Mails reach a real SMTP server, and what it answers decides what becomes of them."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.channels.email.channel import EmailChannel
from api.mail_addresses import sender_of
from api.smtp_server import smtp_server
from application.notifications.channel import DeliveryFailed
from tests.api.channels.email.messages import asked, message
from tests.api.channels.email.postbox import postbox
from tests.application.notifications.town import Known
from tests.domain.people import ANN

SITE = "https://placet.example.com"
SENDER = sender_of("Placet <placet@example.com>")


@asynccontextmanager
async def channel(url: str, seconds: float = 20.0) -> AsyncIterator[EmailChannel]:
    made = EmailChannel(smtp_server(url), SENDER, SITE, timeout=seconds)
    yield made
    await made.close()


async def failure(made: EmailChannel) -> DeliveryFailed:
    with pytest.raises(DeliveryFailed) as failed:
        await made.deliver(message(asked()))
    return failed.value


async def test_many_mails_go_over_few_connections_and_each_arrives() -> None:
    with postbox() as box:
        async with channel(box.url) as made:
            messages = [message(asked()) for _ in range(40)]
            for start in range(0, 40, 8):
                ids = await asyncio.gather(*map(made.deliver, messages[start : start + 8]))
                assert ids == [f"<{m.id}@example.com>" for m in messages[start : start + 8]]
        assert {mail.id for mail in box.received} == {f"<{m.id}@example.com>" for m in messages}
        assert {(m.sender, m.recipient) for m in box.received} == {
            ("placet@example.com", "ann@example.com")
        }


async def test_the_first_of_two_addresses_is_used_and_a_shared_one_gets_each_mail() -> None:
    ann = Known(principal=ANN, emails=("first@example.com", "second@example.com"))
    bob = Known(principal=ANN, emails=("first@example.com",))
    with postbox() as box:
        async with channel(box.url) as made:
            assert not made.reaches(Known(principal=ANN))
            for person in (ann, bob):
                assert made.reaches(person)
                await made.deliver(message(asked(), person=person))
        assert [mail.recipient for mail in box.received] == ["first@example.com"] * 2


async def test_a_server_that_takes_a_mail_and_never_answers_is_not_waited_for_long() -> None:
    with postbox() as box:
        box.answer = lambda _: None
        async with channel(box.url, seconds=0.3) as made:
            one = message(asked())
            with pytest.raises(DeliveryFailed, match="does not answer") as failed:
                await made.deliver(one)
            assert not failed.value.permanent
            assert not failed.value.channel_down
            box.answer = lambda _: "250 taken"
            await made.deliver(one)
        # It came twice, and its reader's program knows it by its id.
        assert {mail.id for mail in box.received} == {f"<{one.id}@example.com>"}
        assert len(box.received) == 2


@pytest.mark.parametrize(
    ("recipient", "data", "permanent", "down"),
    [
        ("550-no such person\r\n550 here", "250", True, False),
        ("450 try later", "250", False, False),
        ("250", "554 it looks like spam", True, False),
        ("250", "451 try later", False, False),
        ("421 shutting down", "250", False, True),
    ],
)
async def test_the_code_of_the_answer_says_whether_to_try_again(
    recipient: str, data: str, *, permanent: bool, down: bool
) -> None:
    with postbox() as box:
        box.recipient_answer, box.answer = lambda _: recipient, lambda _: data
        async with channel(box.url) as made:
            failed = await failure(made)
            assert (failed.permanent, failed.channel_down) == (permanent, down)
            assert "\n" not in failed.reason
            # The next mail goes over a connection of its own.
            box.recipient_answer, box.answer = lambda _: "250 OK", lambda _: "250 taken"
            await made.deliver(message(asked()))


async def test_a_server_that_is_away_or_refuses_the_password_says_nothing_of_the_mail() -> None:
    with postbox(users={"placet": "right"}, auth_require_tls=False) as box:
        host = f"127.0.0.1:{box.port}"
        async with channel(f"smtp://placet:wrong@{host}") as made:
            failed = await failure(made)
            assert (failed.permanent, failed.channel_down) == (False, True)
            assert "refused user and password" in failed.reason
            assert "wrong" not in failed.reason
        async with channel(f"smtp://placet:right@{host}") as made:
            await made.check()
    async with channel(box.url) as made:
        failed = await failure(made)
        assert (failed.permanent, failed.channel_down) == (False, True)
        assert f"the SMTP server {host} can't be reached" in failed.reason


async def test_a_person_with_a_wrong_address_gets_a_dead_letter_at_once() -> None:
    wrong = Known(principal=ANN, emails=("ann@example.com\r\nRCPT TO:<x@y.z>",))
    async with channel("smtp://127.0.0.1:1") as made:
        with pytest.raises(DeliveryFailed, match="is not an address") as failed:
            await made.deliver(message(asked(), person=wrong))
        assert failed.value.permanent


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_a_certificate_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    certificate, context = _certificate(tmp_path)
    options: dict[str, Any] = {"tls" if scheme == "smtps" else "tls_context": context}
    with postbox(**options) as box:
        url = f"{scheme}://127.0.0.1:{box.port}"
        async with channel(url) as made:
            failed = await failure(made)
            assert failed.channel_down
            assert "certificate" in failed.reason
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with channel(url) as made:
            await made.deliver(message(asked()))


async def test_where_tls_is_asked_for_nothing_is_sent_without() -> None:
    with postbox() as box:
        async with channel(f"smtp+starttls://127.0.0.1:{box.port}") as made:
            failed = await failure(made)
        assert failed.channel_down
        assert "does not offer STARTTLS" in failed.reason
        assert "write smtps://" in failed.reason
        assert box.offered == 0


async def test_a_trial_mail_goes_to_the_address_that_is_given() -> None:
    with postbox() as box:
        async with channel(box.url) as made:
            await made.send_test("ops@example.com", uuid4())
            with pytest.raises(ValueError, match="is not an address"):
                await made.send_test("ops", uuid4())
        assert [mail.recipient for mail in box.received] == ["ops@example.com"]


def _certificate(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate for this machine. Returns its file, and what a server needs."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postbox")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = directory / "certificate.pem", directory / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    return certificate, context
