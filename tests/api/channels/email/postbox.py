"""A real SMTP server, which keeps what it takes, and misbehaves when told to."""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from threading import Event, Lock, Thread
from time import monotonic, sleep
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.support.patience import HANGS


class Received(NamedTuple):
    """A mail as it came, and when."""

    sender: str
    recipient: str
    mail: EmailMessage
    content: bytes
    at: float

    @property
    def id(self) -> str:
        return str(self.mail["Message-ID"])

    def body(self, kind: str) -> str:
        part = self.mail.get_body((kind,))
        assert isinstance(part, EmailMessage)
        return str(part.get_content()).replace("\r\n", "\n")


class Postbox:
    """The handler. ``answer`` is asked for the answer to each mail; None never comes."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.offered = 0
        self.answer: Callable[[Envelope], str | None] = lambda _: "250 taken"
        self.recipient_answer: Callable[[str], str] = lambda _: "250 OK"
        self.port = 0
        self._lock = Lock()

    async def handle_RCPT(  # noqa: N802 - the library calls it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        answer = self.recipient_answer(address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802 - as above
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        del server, session
        self.offered += 1
        answer = self.answer(envelope)
        content = envelope.content
        assert isinstance(content, bytes)
        if answer is None or answer.startswith("250"):
            mail = message_from_bytes(content, policy=default)
            with self._lock:
                for recipient in envelope.rcpt_tos:
                    self.received.append(
                        Received(envelope.mail_from or "", recipient, mail, content, monotonic())
                    )
        if answer is None:
            await asyncio.Event().wait()
        assert answer is not None
        return answer

    @property
    def url(self) -> str:
        """The value of PLACET_SMTP_URL."""
        return f"smtp://127.0.0.1:{self.port}"

    def until(self, count: int, seconds: float = HANGS) -> list[Received]:
        """Wait until so many mails came. They come in a thread of their own."""
        end = monotonic() + seconds
        while len(self.received) < count:
            assert monotonic() < end, f"{len(self.received)} of {count} mails came"
            sleep(0.005)
        return self.received

    async def arrived(self, count: int) -> list[Received]:
        """Wait until so many mails came."""
        return await asyncio.to_thread(self.until, count)


@contextmanager
def postbox(
    *, tls: ssl.SSLContext | None = None, users: Mapping[str, str] | None = None, **options: Any
) -> Iterator[Postbox]:
    """Run an SMTP server on a free port of this machine."""
    box = Postbox()

    def authenticate(_server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> Any:
        known = (users or {}).get(data.login.decode()) == data.password.decode()
        return AuthResult(success=known, handled=False)

    if users is not None:
        options["authenticator"] = authenticate
    loop, started, sessions = asyncio.new_event_loop(), Event(), list[SMTP]()

    def connected() -> SMTP:
        sessions.append(SMTP(box, loop=loop, hostname="postbox.example", **options))
        return sessions[-1]

    async def serve() -> asyncio.Server:
        server = await loop.create_server(connected, "127.0.0.1", 0, ssl=tls)
        box.port = server.sockets[0].getsockname()[1]
        started.set()
        return server

    def run() -> None:
        server = loop.run_until_complete(serve())
        loop.run_forever()
        server.close()
        for session in sessions:
            if session.transport is not None:
                session.transport.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(HANGS)
    try:
        yield box
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(HANGS)
