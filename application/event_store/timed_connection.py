"""Connections on which a silent database is noticed.

A stalled disk or a balancer can leave a connection open on which no answer ever comes. The settings
of TCP do not see that: the other machine may be well. So each wait for an answer has a deadline.
"""

import asyncio
import os
import socket
from contextlib import suppress
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.abc import PQGen

T = TypeVar("T")

ANSWER_WITHIN = 20.0
"""Seconds. Longer than any time limit of a statement, which the database enforces itself."""


class TimedConnection(AsyncConnection[Any]):
    """Breaks off if an answer takes longer than ``answer_within`` seconds.

    Whoever waits then gets psycopg.OperationalError, as when the database ends the connection.
    """

    answer_within = ANSWER_WITHIN

    async def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """Wait for an answer."""
        timer = asyncio.get_running_loop().call_later(self.answer_within, self._break_off)
        try:
            return await super().wait(gen, *args, **kwargs)
        finally:
            timer.cancel()

    def _break_off(self) -> None:
        """Shut the socket down: its end is then read in place of an answer.

        To cancel the task would be slower, since psycopg then asks the silent database to cancel.
        """
        with (
            suppress(OSError),
            socket.socket(fileno=os.dup(self.pgconn.socket)) as duplicate,
        ):
            duplicate.shutdown(socket.SHUT_RDWR)
