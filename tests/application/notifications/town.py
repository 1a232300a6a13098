"""People that the tests know, and a channel that keeps what it is given."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import msgspec

from application.notifications.channel import DeliveryFailed
from application.notifications.message import Message
from domain.names import normal, normal_set
from domain.values import Principal
from tests.domain.people import ADAM, ANN, BOB, CLEO, ENGINE, OLIVIA
from tests.support.patience import HANGS


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A known person."""

    principal: Principal
    emails: tuple[str, ...] = ()
    active: bool = True

    @property
    def id(self) -> str:
        return self.principal.id

    @property
    def name(self) -> str | None:
        return self.principal.name


def known(principal: Principal, **rest: Any) -> Known:
    return Known(principal=principal, emails=(f"{principal.id}@example.com",), **rest)


class Town:
    """A directory in memory."""

    def __init__(self, *people: Principal) -> None:
        self.known = {each.id: known(each) for each in people}

    async def members(
        self, groups: Iterable[str], ids: Iterable[str] = (), *, limit: int | None = None
    ) -> list[Known]:
        wanted, named = normal_set(groups), normal_set(ids)
        found = [
            each
            for each in self.known.values()
            if each.active and (each.id in named or not wanted.isdisjoint(each.principal.groups))
        ]
        return found[:limit]

    async def substitutions(self, *_: Any) -> list[Any]:
        return []

    async def people_of(self, ids: Iterable[str]) -> dict[str, Known]:
        return {id_: self.known[id_] for id_ in map(normal, ids) if id_ in self.known}


def everybody() -> Town:
    return Town(ANN, BOB, CLEO, OLIVIA, ENGINE, ADAM)


class Kept:
    """A channel that keeps what it delivers. ``fails`` is asked before, and may raise."""

    to_people = True
    concurrency = 4
    per_recipient = 4
    timeout = 20.0

    def __init__(self, name: str = "kept", **rest: Any) -> None:
        self.name = name
        self.messages: list[Message] = []
        self.fails: Callable[[Message], Any] = lambda _: None
        self.closed = False
        for each, value in rest.items():
            setattr(self, each, value)

    def reaches(self, person: Any) -> bool:
        return bool(person.emails)

    async def deliver(self, message: Message) -> str | None:
        result = self.fails(message)
        if asyncio.iscoroutine(result):
            await result
        self.messages.append(message)
        return f"reference of {message.id}"

    async def close(self) -> None:
        self.closed = True

    @property
    def told(self) -> list[tuple[str, str]]:
        """Who was told, and as what, sorted."""
        return sorted((each.recipient, str(each.kind)) for each in self.messages)

    @property
    def ids(self) -> list[UUID]:
        return [each.id for each in self.messages]

    async def until(self, count: int) -> list[Message]:
        """Wait until so many messages were delivered."""
        async with asyncio.timeout(HANGS):
            while len(self.messages) < count:
                await asyncio.sleep(0.005)
        return self.messages


def failing(times: int, **failure: Any) -> Callable[[Message], None]:
    """Return a function that fails the first tries of each message."""

    def fail(message: Message) -> None:
        if message.tries <= times:
            raise DeliveryFailed("broken", **failure)

    return fail
