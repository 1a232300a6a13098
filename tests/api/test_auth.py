"""Authentication asks the database little, and never long after a key has ended."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from api.auth import Authenticator, bearer
from api.dev_tokens import FILE, dev_principals
from api.settings import ConfigurationError
from domain.values import Principal, Role
from tests.domain.people import AUDREY, OLIVIA


class Keys:
    """Keys of a database that counts how often it is asked, and may be away."""

    def __init__(self, known: dict[str, Principal]) -> None:
        self.known = known
        self.asked = 0
        self.away = False

    async def find(self, token: str) -> Principal | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise psycopg.OperationalError("away")
        return self.known.get(token)


async def test_many_who_ask_at_once_are_one_question() -> None:
    keys = Keys({"t": AUDREY})
    authenticator = Authenticator(keys)  # type: ignore[arg-type]
    assert (
        await asyncio.gather(*(authenticator.authenticate("t") for _ in range(50))) == [AUDREY] * 50
    )
    assert await authenticator.authenticate("t") is AUDREY
    assert keys.asked == 1


async def test_nobody_is_remembered_too() -> None:
    keys = Keys({})
    authenticator = Authenticator(keys)  # type: ignore[arg-type]
    for _ in range(3):
        assert await authenticator.authenticate("guess") is None
    assert keys.asked == 1


async def test_what_is_remembered_is_soon_forgotten() -> None:
    keys = Keys({"t": AUDREY})
    authenticator = Authenticator(keys, remember=0.0)  # type: ignore[arg-type]
    assert await authenticator.authenticate("t") is AUDREY
    keys.known.clear()
    assert await authenticator.authenticate("t") is None


async def test_a_database_that_is_away_says_nothing_of_a_token() -> None:
    keys = Keys({"t": AUDREY})
    keys.away = True
    authenticator = Authenticator(keys, {"dev": OLIVIA})  # type: ignore[arg-type]
    with pytest.raises(psycopg.OperationalError):
        await authenticator.authenticate("t")
    assert await authenticator.authenticate("dev") is OLIVIA
    keys.away = False
    assert await authenticator.authenticate("t") is AUDREY


@pytest.mark.parametrize("token", [None, "", "x" * 1001])
async def test_what_can_be_no_token_is_not_looked_up(token: str | None) -> None:
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


def test_garbled_development_tokens_say_which_file_to_mend(tmp_path: Path) -> None:
    data = tmp_path
    (data / FILE).write_text("{")
    with pytest.raises(ConfigurationError, match=FILE):
        dev_principals(data)
