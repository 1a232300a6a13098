"""How receivers behave that fail, redirect, hang or answer without end, and where nothing goes."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.channels.webhooks.sender import LONGEST_RETRY_AFTER, UnreachableError, WebhookSender
from api.channels.webhooks.targets import Targets
from tests.api.channels.receiver import Receiver, answering
from tests.support.patience import HANGS

LOOPBACK = Targets.parse("127.0.0.0/8")


class Rebinding(AbstractResolver):
    """Answers with one address after the other, and with the last one for ever."""

    def __init__(self, *addresses: str) -> None:
        self.left = list(addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self.left.pop(0) if len(self.left) > 1 else self.left[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


def self_signed(directory: Path) -> ssl.SSLContext:
    """Return the context of a server with a certificate for 127.0.0.1 that nobody else signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    pem = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_a_status_is_an_answer_and_a_redirect_is_not_followed() -> None:
    async with Receiver.open() as receiver, WebhookSender(LOOPBACK) as sender:
        assert (await sender.post(receiver.url + "/a", {"webhook-id": "1"}, b"{}")).status == 204
        receiver.answer = answering(307, location=receiver.url + "/elsewhere")
        assert (await sender.post(receiver.url + "/b", {}, b"{}")).status == 307
        receiver.answer = answering(500)
        assert (await sender.post(receiver.url + "/c", {}, b"{}")).status == 500
    assert [each.path for each in receiver.received] == ["/a", "/b", "/c"]
    first = receiver.received[0]
    assert first.headers["content-type"] == "application/cloudevents+json"
    assert first.headers["webhook-id"] == "1"
    assert "cookie" not in first.headers


async def test_a_receiver_that_sets_cookies_gets_none_back() -> None:
    async with Receiver.open() as receiver, WebhookSender(LOOPBACK) as sender:
        receiver.answer = answering(200, set_cookie="session=1")
        for _ in range(2):
            await sender.post(receiver.url, {}, b"{}")
    assert "cookie" not in receiver.received[1].headers


async def test_nobody_waits_for_a_receiver_that_hangs_or_does_not_listen() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        raise AssertionError

    async with Receiver.open() as receiver:
        receiver.answer = hang
        async with WebhookSender(LOOPBACK, total_seconds=0.2) as sender:
            with pytest.raises(UnreachableError, match=r"no answer within 0\.2 s"):
                await sender.post(receiver.url, {}, b"{}")
    async with WebhookSender(LOOPBACK) as sender:
        with pytest.raises(UnreachableError, match="no connection"):
            await sender.post(receiver.url, {}, b"{}")


async def test_of_an_answer_without_end_nothing_is_read() -> None:
    written = 0
    ended = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65_536)
                written += 65_536
        finally:
            ended.set()

    async with Receiver.open() as receiver, WebhookSender(LOOPBACK) as sender:
        receiver.answer = endless
        assert (await sender.post(receiver.url, {}, b"{}")).status == 200
        await asyncio.wait_for(ended.wait(), HANGS)
    # What the two systems buffer before the connection is closed.
    assert written < 16 * 1024 * 1024


@pytest.mark.parametrize(
    ("babbled", "says"),
    [
        (b"", "closed the connection without an answer"),
        (b"what?\r\n\r\n", "is not HTTP: Bad status line"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", "is not HTTP: Got more than"),
    ],
)
async def test_a_receiver_that_speaks_no_http_or_sends_huge_headers_is_unreachable(
    babbled: bytes, says: str
) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(babbled)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, WebhookSender(LOOPBACK) as sender:
        with pytest.raises(UnreachableError, match=says) as failed:
            await sender.post(f"http://127.0.0.1:{port}/?token=secret", {}, b"{}")
    assert "secret" not in str(failed.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999999999999999", LONGEST_RETRY_AFTER),
        ("-5", None),
        ("soon", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 99999999999999999999 Nov 1994 08:49:37 GMT", None),
    ],
)
async def test_the_answer_says_when_to_try_again(value: str, seconds: float | None) -> None:
    async with Receiver.open() as receiver, WebhookSender(LOOPBACK) as sender:
        receiver.answer = answering(503, retry_after=value)
        assert (await sender.post(receiver.url, {}, b"{}")).retry_after == seconds
        receiver.answer = answering(
            429, retry_after=format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)
        )
        waits = (await sender.post(receiver.url, {}, b"{}")).retry_after
        assert waits is not None
        assert 50 < waits <= 60


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    async with Receiver.open(tls=self_signed(tmp_path)) as receiver:
        assert receiver.url.startswith("https://")
        async with WebhookSender(LOOPBACK) as sender:
            with pytest.raises(
                UnreachableError, match=r"the certificate is not valid: .*self.signed"
            ):
                await sender.post(receiver.url, {}, b"{}")
    assert receiver.received == []


async def test_a_name_that_leads_to_a_private_address_reaches_nobody() -> None:
    async with Receiver.open() as receiver:
        port = urlsplit(receiver.url).port
        for address in ("127.0.0.1", "::ffff:127.0.0.1"):
            async with WebhookSender(Targets(), resolver=Rebinding(address)) as sender:
                with pytest.raises(UnreachableError, match="is a loopback address"):
                    await sender.post(f"https://hooks.example:{port}/", {}, b"{}")
    assert receiver.received == []


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::ffff:7f00:1]"]
)
async def test_other_ways_to_write_the_own_machine_reach_nobody(host: str) -> None:
    async with Receiver.open() as receiver, WebhookSender(Targets()) as sender:
        port = urlsplit(receiver.url).port
        with pytest.raises(UnreachableError, match=r"loopback address|write it as four numbers"):
            await sender.post(f"https://{host}:{port}/", {}, b"{}")
    assert receiver.received == []


async def test_a_name_whose_address_changes_after_it_was_looked_up_reaches_nobody() -> None:
    async with Receiver.open() as receiver:
        port = urlsplit(receiver.url).port
        # The first address belongs to nobody (RFC 5737), and is allowed here as public ones are.
        rebinding = Rebinding("192.0.2.1", "127.0.0.1")
        async with WebhookSender(
            Targets.parse("192.0.2.1"), connect_seconds=0.2, resolver=rebinding
        ) as sender:
            for _ in range(3):
                with pytest.raises(UnreachableError):
                    await sender.post(f"https://hooks.example:{port}/", {}, b"{}")
        assert rebinding.left == ["127.0.0.1"], "it was not looked up again"
    assert receiver.received == []


async def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    async with Receiver.open() as receiver:
        port = urlsplit(receiver.url).port
        rebinding = Rebinding("127.0.0.1", "10.0.0.1", "10.0.0.2")
        async with WebhookSender(LOOPBACK, resolver=rebinding) as sender:
            # The receiver does not speak TLS, which shows that it was connected to.
            with pytest.raises(UnreachableError, match="SSL"):
                await sender.post(f"https://hooks.example:{port}/", {}, b"{}")
        assert rebinding.left == ["10.0.0.1", "10.0.0.2"], "it was looked up once"


async def test_an_allowed_host_may_have_any_address() -> None:
    async with Receiver.open() as receiver:
        port = urlsplit(receiver.url).port
        allowed = Targets.parse("hooks.internal")
        async with WebhookSender(allowed, resolver=Rebinding("127.0.0.1")) as sender:
            assert (await sender.post(f"http://hooks.internal:{port}/", {}, b"{}")).status == 204
            with pytest.raises(UnreachableError, match="is a loopback address"):
                await sender.post(f"https://other.internal:{port}/", {}, b"{}")
