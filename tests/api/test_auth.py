"""Authentication queries the database seldom, and notices soon that a key has ended."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import psycopg
import pytest

from api.auth import Authenticator
from api.dev_tokens import FILE, dev_principals
from api.graphql.caller import bearer
from api.settings import ConfigurationError
from domain.values import Principal, Role
from tests.domain.people import AUDREY, OLIVIA
from tests.support.patience import HANGS


class Keys:
    """Keys of a database that counts how often it is asked, and may be away."""

    def __init__(self, known: dict[str, Principal]) -> None:
        self.known = known
        self.asked = 0
        self.away = False
        self.asked_for_all: asyncio.Queue[list[str]] = asyncio.Queue()
        self.noted: asyncio.Queue[list[str]] = asyncio.Queue()

    async def find(self, token: str) -> Principal | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise psycopg.OperationalError("away")
        return self.known.get(token)

    async def find_all(self, tokens: Iterable[str]) -> dict[str, Principal]:
        self.asked_for_all.put_nowait(list(tokens))
        if self.away:
            raise psycopg.OperationalError("away")
        return {token: self.known[token] for token in tokens if token in self.known}

    async def note_use(self, names: Iterable[str]) -> None:
        self.noted.put_nowait(list(names))


async def test_simultaneous_look_ups_of_a_token_are_one_query() -> None:
    keys = Keys({"t": AUDREY})
    authenticator = Authenticator(keys)  # type: ignore[arg-type]
    assert (
        await asyncio.gather(*(authenticator.authenticate("t") for _ in range(50))) == [AUDREY] * 50
    )
    assert await authenticator.authenticate("t") is AUDREY
    assert keys.asked == 1


async def test_unknown_tokens_are_cached_too() -> None:
    keys = Keys({})
    authenticator = Authenticator(keys)  # type: ignore[arg-type]
    for _ in range(3):
        assert await authenticator.authenticate("guess") is None
    assert keys.asked == 1


async def test_cached_answers_expire_soon() -> None:
    keys = Keys({"t": AUDREY})
    authenticator = Authenticator(keys, remember=0.0)  # type: ignore[arg-type]
    assert await authenticator.authenticate("t") is AUDREY
    keys.known.clear()
    assert await authenticator.authenticate("t") is None


async def test_an_unavailable_database_does_not_make_a_token_invalid() -> None:
    keys = Keys({"t": AUDREY})
    keys.away = True
    authenticator = Authenticator(keys, {"dev": OLIVIA})  # type: ignore[arg-type]
    with pytest.raises(psycopg.OperationalError):
        await authenticator.authenticate("t")
    assert await authenticator.authenticate("dev") is OLIVIA
    keys.away = False
    assert await authenticator.authenticate("t") is AUDREY


@pytest.fixture
async def refreshing() -> AsyncIterator[tuple[Keys, Authenticator]]:
    """Who looks tokens in use up again every 0.4 s."""
    keys = Keys({"t": AUDREY, "other": OLIVIA})
    authenticator = Authenticator(keys, remember=0.8)  # type: ignore[arg-type]
    await authenticator.start()
    yield keys, authenticator
    await authenticator.close()


async def test_a_recent_caller_does_not_wait_for_the_database(
    refreshing: tuple[Keys, Authenticator],
) -> None:
    keys, authenticator = refreshing
    assert await authenticator.authenticate("t") is AUDREY
    assert await authenticator.authenticate("guess") is None
    for _ in range(4):
        # Only who was known is asked about again.
        assert await keys.asked_for_all.get() == ["t"]
    assert await authenticator.authenticate("t") is AUDREY
    assert keys.asked == 2


async def test_an_ended_key_is_refused_after_the_next_refresh(
    refreshing: tuple[Keys, Authenticator],
) -> None:
    keys, authenticator = refreshing
    assert await authenticator.authenticate("t") is AUDREY
    await keys.asked_for_all.get()
    keys.known.clear()
    await keys.asked_for_all.get()
    assert await authenticator.authenticate("t") is None
    assert keys.asked == 1


async def test_the_age_of_an_answer_counts_from_its_query() -> None:
    """A key may be revoked while the database answers."""
    keys = Keys({"t": AUDREY})
    authenticator = Authenticator(keys, remember=0.05)  # type: ignore[arg-type]
    find = keys.find

    async def slow(token: str) -> Principal | None:
        found = await find(token)
        await asyncio.sleep(0.06)
        return found

    keys.find = slow  # type: ignore[method-assign]
    assert await authenticator.authenticate("t") is AUDREY
    keys.known.clear()
    assert await authenticator.authenticate("t") is None


async def test_tokens_in_steady_use_are_not_evicted_by_tokens_used_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.auth.MAX_REMEMBERED", 3)
    keys = Keys({"t": AUDREY})
    authenticator = Authenticator(keys, remember=600.0)  # type: ignore[arg-type]
    for number in range(10):
        assert await authenticator.authenticate("t") is AUDREY
        assert await authenticator.authenticate(f"guess {number}") is None
    assert keys.asked == 11


async def test_a_token_that_nobody_uses_is_not_looked_up_again(
    refreshing: tuple[Keys, Authenticator], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, authenticator = refreshing
    assert await authenticator.authenticate("t") is AUDREY
    await keys.asked_for_all.get()
    monkeypatch.setattr("api.auth.IN_USE_SECONDS", 0.2)
    # "t" was used more than a look ago, "other" just before each.
    while "other" not in (asked := await _asked_after_using("other", keys, authenticator)):
        pass
    by_itself = keys.asked
    for _ in range(3):
        assert asked == ["other"]
        asked = await _asked_after_using("other", keys, authenticator)
    # As long as it is used, it is not asked for by itself again.
    assert keys.asked == by_itself


async def _asked_after_using(token: str, keys: Keys, authenticator: Authenticator) -> list[str]:
    while keys.asked_for_all.empty():
        await authenticator.authenticate(token)
        await asyncio.sleep(0.01)
    return keys.asked_for_all.get_nowait()


async def test_without_a_database_the_next_caller_gets_an_error(
    refreshing: tuple[Keys, Authenticator],
) -> None:
    keys, authenticator = refreshing
    assert await authenticator.authenticate("t") is AUDREY
    keys.away = True

    async def call_until_refused() -> None:
        while True:
            await keys.asked_for_all.get()
            await authenticator.authenticate("t")

    with pytest.raises(psycopg.OperationalError):
        await asyncio.wait_for(call_until_refused(), HANGS)
    keys.away = False
    assert await authenticator.authenticate("t") is AUDREY
    await keys.asked_for_all.get()


@pytest.mark.parametrize("token", [None, "", "x" * 1001])
async def test_text_that_can_not_be_a_token_is_not_looked_up(token: str | None) -> None:
    keys = Keys({})
    assert await Authenticator(keys).authenticate(token) is None  # type: ignore[arg-type]
    assert keys.asked == 0


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Bearer", None),
        ("Basic abc", None),
        ("", None),
        (None, None),
    ],
)
def test_a_bearer_token_is_read_from_its_header(header: str | None, token: str | None) -> None:
    assert bearer(header) == token


def test_development_tokens_are_kept_and_are_their_owners_alone(tmp_path: Path) -> None:
    data = tmp_path / "new"
    first = dev_principals(data)
    assert dev_principals(data) == first
    assert (data / FILE).stat().st_mode & 0o777 == 0o600
    by_name = {principal.id: principal for principal in first.values()}
    assert by_name["approver-a"].groups == {"finance", "managers"}
    assert by_name["engine"].roles == {Role.ENGINE}
    assert len(first) == 7


def test_a_damaged_file_of_development_tokens_is_named(tmp_path: Path) -> None:
    data = tmp_path
    (data / FILE).write_text("{")
    with pytest.raises(ConfigurationError, match=FILE):
        dev_principals(data)


async def test_the_use_of_a_key_is_noted_once_and_not_with_each_request(
    refreshing: tuple[Keys, Authenticator],
) -> None:
    keys, authenticator = refreshing
    for _ in range(100):
        await authenticator.authenticate("t")
    assert await asyncio.wait_for(keys.noted.get(), HANGS) == [AUDREY.name]
    for _ in range(3):
        await authenticator.authenticate("t")
        await keys.asked_for_all.get()
    assert keys.noted.empty()
