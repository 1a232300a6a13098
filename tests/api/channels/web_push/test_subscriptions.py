"""Which browsers a person can have, and who is told by them."""

import asyncio
from typing import Any

import pytest

from api.channels.web_push.subscriptions import MOST, BrowserKeys, PushSubscriptions
from tests.api.channels.web_push.browser import Browser, base64url
from tests.application.notifications.telling import telling
from tests.application.notifications.town import Kept
from tests.application.server_process import ServerProcess


async def test_a_person_has_at_most_ten_browsers_also_if_they_come_at_once(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        subscriptions = PushSubscriptions(process.pool)
        await process.pool.resize(2 * MOST, 2 * MOST)
        await process.pool.wait()
        for person in ("ann", "bob", "carol", "dan", "erin"):
            browsers = [Browser(name=f"{person} {number}") for number in range(2 * MOST)]
            added = await asyncio.gather(
                *(subscriptions.add(person, each.keys, "") for each in browsers)
            )
            assert sum(added) == MOST == len(await subscriptions.of(person))
            again = browsers[added.index(True)]
            assert await subscriptions.add(person, again.keys, "")
        assert await subscriptions.add("fay", Browser(name="another").keys, "")


async def test_a_browser_tells_who_subscribed_last(log_url: str) -> None:
    async with ServerProcess.open(log_url) as process:
        subscriptions, browser = PushSubscriptions(process.pool), Browser()
        await subscriptions.add("ann", browser.keys, "")
        await subscriptions.add("bob", browser.keys, "")
        assert await subscriptions.people(["ann", "bob"]) == {"bob"}
        [of_bob] = await subscriptions.of("bob")
        assert not await subscriptions.remove("ann", of_bob.id), "it is not Ann's"
        # What a push service says of an older subscription does not end a newer one.
        anew = Browser()
        await subscriptions.add("bob", anew.keys, "")
        await subscriptions.drop(of_bob)
        assert [each.keys for each in await subscriptions.of("bob")] == [anew.keys]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"endpoint": ""}, "must begin with https://"),
        ({"endpoint": "http://push.example.com/a"}, "must begin with https://"),
        ({"endpoint": "https://127.0.0.1/a"}, "not a public address"),
        ({"endpoint": "https://[::ffff:10.0.0.1]/a"}, "not a public address"),
        ({"endpoint": "https://[2606:4700::1111]/a"}, "an IPv6 address"),
        ({"endpoint": "https://user:word@push.example.com/a"}, "a user or a password"),
        ({"endpoint": "https://push.example.com/" + "a" * 2000}, "at most 2000"),
        ({"p256dh": "AAAA"}, "p256dh must have 65 bytes"),
        ({"p256dh": base64url(b"\x04" + b"\xff" * 64)}, "no point of the curve"),
        ({"p256dh": "ä" * 87}, "p256dh must have 65 bytes"),
        ({"auth": ""}, "auth must have 16 bytes"),
    ],
)
def test_what_no_browser_gives_is_refused(changed: dict[str, str], said: str) -> None:
    given: dict[str, Any] = Browser().fields | changed
    with pytest.raises(ValueError, match=said):
        BrowserKeys.parse(**given)


async def test_only_who_allows_it_in_a_browser_gets_messages_for_it(log_url: str) -> None:
    async def subscribers(people: Any) -> set[str]:
        return {"bob"} & set(people)

    push, mail = Kept("push", subscribers=subscribers), Kept("mail")
    async with telling(log_url, push, mail) as running:
        execution = await running.process.start()
        await running.process.ask(execution.id)
        rows = await running.settled()
    assert {row["recipient"] for row in rows if row["channel"] == "push"} == {"bob"}
    assert {"ann", "bob"} <= {row["recipient"] for row in rows if row["channel"] == "mail"}
