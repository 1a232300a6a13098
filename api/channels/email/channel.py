"""The channel e-mail."""

from datetime import UTC, datetime
from email import message
from uuid import UUID

from aiosmtplib import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from api.channels.email.connections import Connections
from api.channels.email.letter import letter_for
from api.channels.email.mime import Mailbag
from api.channels.email.trial_letter import trial_letter
from api.mail_addresses import Sender, mailbox_of
from api.smtp_server import SmtpServer
from application.notifications.channel import DeliveryFailed
from application.notifications.message import Message, MessageKind
from application.notifications.people import Addressee

NAME = "email"
PERMANENT = 500
SHUTTING_DOWN = 421
MORE = 5.0


class EmailChannel:
    """Sends mails. ``timeout``: seconds to wait for an answer of the server."""

    name = NAME
    to_people = True
    concurrency = 8
    per_recipient = 8

    def __init__(
        self, server: SmtpServer, sender: Sender, public_url: str, *, timeout: float = 60.0
    ) -> None:
        self._sender = sender
        self._public_url = public_url
        self._mailbag = Mailbag(sender)
        self._connections = Connections(server, timeout=timeout)
        # The connection gives up first, and then says on what.
        self.timeout = timeout * 2 + MORE

    def reaches(self, person: Addressee) -> bool:
        """Whether the person has an address."""
        return bool(person.emails)

    async def deliver(self, message: Message) -> str | None:
        """Send a message. Returns the Message-ID."""
        person = _recipient(message)
        if not person.emails:
            raise DeliveryFailed("the person has no e-mail address", permanent=True)
        now = datetime.now(UTC)
        letter = letter_for(message, self._public_url, now)
        try:
            to = mailbox_of(person.emails[0], person.name)
        except ValueError as error:
            raise DeliveryFailed(str(error), permanent=True) from None
        digest = message.kind is MessageKind.DIGEST
        thread = None if digest else f"{message.execution_id}.{message.ordinal}"
        mail = self._mailbag.mail(letter, to, id_=message.id, thread=thread, now=now)
        await self.send(mail, to.address)
        return str(mail["Message-ID"])

    async def send_test(self, address: str, id_: UUID) -> str:
        """Send a mail that says nothing but that mails arrive. Returns the server's answer.

        Raises ValueError for a wrong address, and DeliveryFailed.
        """
        to = mailbox_of(address)
        letter = trial_letter(self._public_url)
        mail = self._mailbag.mail(letter, to, id_=id_, thread=None, now=datetime.now(UTC))
        return await self.send(mail, to.address)

    async def send(self, mail: message.Message, to: str) -> str:
        """Hand a mail to the SMTP server. Returns its answer. Raises DeliveryFailed."""
        content = mail.as_bytes()
        async with self._connections.one() as connection:
            try:
                _, answer = await connection.client.sendmail(self._sender.address, to, content)
            except (SMTPException, OSError) as error:
                raise _failure(error) from None
            connection.mails += 1
            return answer

    async def check(self) -> None:
        """Connect once. Raises DeliveryFailed if the server can't be used."""
        async with self._connections.one():
            pass

    async def close(self) -> None:
        """Close the connections."""
        await self._connections.close()


def _recipient(message: Message) -> Addressee:
    subject = message.subject or message.items[0].subject
    assert subject is not None
    return subject.person


def _failure(error: Exception) -> DeliveryFailed:
    """Return what an error means: a code of 5 is for good (RFC 5321, section 4.2.1)."""
    if isinstance(error, SMTPRecipientsRefused) and error.recipients:
        error = error.recipients[0]
    if isinstance(error, SMTPTimeoutError):
        return DeliveryFailed(f"the SMTP server does not answer: {error}")
    if isinstance(error, SMTPServerDisconnected):
        return DeliveryFailed(f"the SMTP server closed the connection: {error}")
    if not isinstance(error, SMTPResponseException):
        return DeliveryFailed(f"the SMTP server can't be used: {str(error) or repr(error)}")
    # An answer may have several lines.
    reason = " ".join(f"the SMTP server answered: {error.code} {error.message}".split())
    if error.code == SHUTTING_DOWN or isinstance(error, SMTPSenderRefused):
        # It says nothing of this recipient.
        return DeliveryFailed(reason, channel_down=True)
    for_good = isinstance(error, SMTPRecipientRefused | SMTPDataError) and error.code >= PERMANENT
    return DeliveryFailed(reason, permanent=for_good)
