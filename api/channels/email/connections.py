"""Connections to the SMTP server, each used for many mails, one at a time."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPConnectResponseError,
    SMTPException,
    SMTPHeloError,
)

from api.smtp_server import SmtpServer
from application.notifications.channel import DeliveryFailed

IDLE = 20.0
"""A connection that was not used for so many seconds is not used again: servers close them."""
MAX_MAILS = 100
"""Servers limit how many mails one connection may bring."""
END = 2.0


class Connection:
    """A connection. ``mails`` counts what it has brought."""

    def __init__(self, client: SMTP) -> None:
        self.client = client
        self.mails = 0
        self.used_at = monotonic()


class Connections:
    """The connections that are not in use are kept for a while."""

    def __init__(self, server: SmtpServer, *, timeout: float) -> None:
        self._server = server
        self._timeout = timeout
        self._idle: list[Connection] = []
        self._context: ssl.SSLContext | None = None

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Connection]:
        """Lend a connection. After any error it is closed.

        Raises DeliveryFailed if the server can't be reached, or does not let this one in.
        """
        connection = self._kept() or await self._connect()
        try:
            yield connection
        except BaseException:
            connection.client.close()
            raise
        connection.used_at = monotonic()
        if connection.mails < MAX_MAILS:
            self._idle.append(connection)
        else:
            await _quit(connection)

    async def close(self) -> None:
        """Close those that are not in use."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*map(_quit, idle))

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.client.is_connected and monotonic() - connection.used_at < IDLE:
                return connection
            connection.client.close()
        return None

    async def _connect(self) -> Connection:
        server = self._server
        if self._context is None and (server.tls or server.starttls):
            self._context = ssl.create_default_context()
        client = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            timeout=self._timeout,
            use_tls=server.tls,
            # Not if it is offered: who stands in between could take the offer away.
            start_tls=server.starttls,
            tls_context=self._context,
        )
        try:
            await client.connect()
        except (SMTPException, OSError, ValueError) as error:
            client.close()
            raise DeliveryFailed(self._why(error), channel_down=True) from None
        except BaseException:
            client.close()
            raise
        return Connection(client)

    def _why(self, error: Exception) -> str:
        match error:
            case SMTPAuthenticationError():
                what = f"refused user and password: {error.code} {error.message}"
            case SMTPConnectResponseError() | SMTPHeloError():
                what = f"does not take mails from here: {error.code} {error.message}"
            case SMTPException() if "STARTTLS" in str(error):
                what = (
                    "does not offer STARTTLS, so nothing is sent to it; write smtps:// if it speaks"
                    " TLS from the beginning, on another port"
                )
            case _:
                what = f"can't be reached: {str(error) or type(error).__name__}"
        return " ".join(f"the SMTP server {self._server} {what}".split())


async def _quit(connection: Connection) -> None:
    with suppress(SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(END):
            await connection.client.quit()
    connection.client.close()
