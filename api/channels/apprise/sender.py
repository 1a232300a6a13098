"""Hands texts to the library ``apprise``, which blocks, in threads and with a limit of time."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from uuid import UUID

from api.channels.apprise.configuration import library_or_error
from application.notifications.channel import DeliveryFailed

SECONDS = 30.0
MAX_THREADS = 32
MAX_REMEMBERED = 10_000


class AppriseSender:
    """Sends to URLs of the library. Several channels can share one."""

    def __init__(self, *, seconds: float = SECONDS, max_threads: int = MAX_THREADS) -> None:
        self._library = library_or_error()
        self._seconds = seconds
        self._max_threads = max_threads
        self._running = 0
        # Of messages that failed, the URLs that took them.
        self._taken: OrderedDict[UUID, set[str]] = OrderedDict()

    async def send(self, message_id: UUID, urls: Sequence[str], title: str, text: str) -> None:
        """Send to all URLs, except to those that took the message at an earlier try.

        Raises DeliveryFailed if one of them did not take it. A server that was started since sends
        to all of them again.
        """
        before = self._taken.pop(message_id, set())
        left = [url for url in urls if url not in before]
        results = await asyncio.gather(*(self._send(url, title, text) for url in left))
        if problems := [problem for problem in results if problem is not None]:
            taken = before | {url for url, result in zip(left, results, strict=True) if not result}
            self._taken[message_id] = taken
            if len(self._taken) > MAX_REMEMBERED:
                self._taken.popitem(last=False)
            raise DeliveryFailed("; ".join(problems))

    async def _send(self, url: str, title: str, text: str) -> str | None:
        """Return what went wrong, without the URL, which has secrets in it."""
        service = url.partition(":")[0]
        if self._running >= self._max_threads:
            return f"{service}: {self._running} earlier calls of the library have not returned yet"

        def call() -> bool:
            library = self._library
            sent = library.Apprise()
            sent.add(url)
            return bool(sent.notify(body=text, title=title, body_format=library.NotifyFormat.TEXT))

        try:
            async with asyncio.timeout(self._seconds):
                took = await self._in_thread(call)
        except TimeoutError:
            return f"{service}: no answer within {self._seconds:g} s"
        except Exception as error:  # noqa: BLE001 - it is one of any of 100 plug-ins
            return f"{service}: {type(error).__name__}"
        return None if took else f"{service} did not take it; the log of the server may say why"

    async def _in_thread(self, call: Callable[[], bool]) -> bool:
        """Run the call in a thread that does not keep the process alive if it hangs."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def end(ended: "Future[bool]") -> None:
            self._running -= 1
            if not done.cancelled():
                if error := ended.exception():
                    done.set_exception(error)
                else:
                    done.set_result(ended.result())

        def run() -> None:
            ended: Future[bool] = Future()
            try:
                ended.set_result(call())
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                ended.set_exception(error)
            # The loop is closed if the server ended meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(end, ended)

        self._running += 1
        Thread(target=run, name="placet-apprise", daemon=True).start()
        return await done
