"""Who is signed in to the console, and when a session ends."""

import asyncio

import psycopg
import pytest

from api.console.sessions import Draft, Session, Sessions
from api.container import serve
from api.migration import migrate
from api.settings import Settings
from domain.values import Role
from tests.api.whole_server import TOKENS, WholeServer
from tests.console.console_client import ConsoleClient
from tests.domain.people import ANN

COOKIE = "placet_session"


def end_early(url: str, change: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(f"UPDATE console_sessions SET {change}")


async def signed_in(console: ConsoleClient) -> bool:
    return (await console.get("/")).status_code == 303


async def test_a_made_up_person_signs_in_by_being_chosen(console: ConsoleClient) -> None:
    assert not await signed_in(console)
    await console.sign_in("ann")
    assert await signed_in(console)


async def test_nobody_is_chosen_from_another_machine_or_by_another_name(
    console: ConsoleClient,
) -> None:
    refused = [
        await console.post("/sign-in", {"x-forwarded-for": "10.1.2.3"}, person="ann"),
        # A page of another site whose name was made to lead here sends its own name.
        await console.post("/sign-in", {"host": "rebound.example"}, person="ann"),
        await console.post("/sign-in", person="somebody-else"),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert not await signed_in(console)


async def test_an_address_signs_in_only_who_opened_it_from_outside_of_the_browser(
    console: ConsoleClient,
) -> None:
    address = "/sign-in?as=ann&next=/inbox"
    for elsewhere in ("cross-site", "same-site", "same-origin", ""):
        answer = await console.get(address, **{"sec-fetch-site": elsewhere})
        assert answer.status_code == 200, "it shows whom to choose"
    proxied = await console.get(address, **{"sec-fetch-site": "none", "x-real-ip": "10.0.0.1"})
    assert proxied.status_code == 200
    assert not await signed_in(console)
    answer = await console.get(address, **{"sec-fetch-site": "none"})
    assert answer.headers["location"] == "/signed-in?next=%2Finbox"
    assert await signed_in(console)
    assert (
        await console.get("/sign-in?as=nobody", **{"sec-fetch-site": "none"})
    ).status_code == 303


async def test_a_development_token_works_where_nobody_can_be_chosen(
    whole_server: WholeServer,
) -> None:
    async with ConsoleClient.open(whole_server, "http://placet.example") as console:
        page = await console.get("/sign-in")
        assert "Choose one" not in page.text
        answer = await console.post("/sign-in", token="ann", next="/inbox")
        assert answer.status_code == 303
        assert await signed_in(console)


async def test_in_production_an_api_key_signs_in_and_its_cookie_is_safe(log_url: str) -> None:
    async with WholeServer.open(log_url, "production") as server:
        key = await server.keys.create("ann's key", roles=[Role.APPROVER], groups=["finance"])
        async with ConsoleClient.open(server, "https://localhost") as console:
            assert (await console.post("/sign-in", person="ann")).status_code == 403
            assert (await console.post("/sign-in", token="placet_wrong")).status_code == 401
            answer = await console.post("/sign-in", token=key)
            cookie = answer.headers["set-cookie"].lower()
            assert cookie.startswith("__host-placet_session=")
            assert {"httponly", "secure", "samesite=lax", "path=/"} <= {
                part.strip() for part in cookie.split(";")
            }
            assert key not in answer.headers["set-cookie"]
            assert await signed_in(console)
            assert await server.keys.revoke("ann's key")
            assert not await signed_in(console)


async def test_a_session_ends_at_its_absolute_end(console: ConsoleClient, log_url: str) -> None:
    await console.sign_in()
    end_early(log_url, "ends_at = clock_timestamp()")
    assert not await signed_in(console)


async def test_a_session_ends_without_requests(console: ConsoleClient, log_url: str) -> None:
    await console.sign_in()
    end_early(log_url, "seen_at = clock_timestamp() - interval '59 minutes'")
    assert await signed_in(console), "it was used within the hour"
    end_early(log_url, "seen_at = clock_timestamp() - interval '61 minutes'")
    assert not await signed_in(console)


async def test_signing_out_ends_the_session_itself(console: ConsoleClient, log_url: str) -> None:
    await console.sign_in()
    kept = console.http.cookies[COOKIE]
    assert (await console.send("/sign-out")).status_code == 303
    console.http.cookies.set(COOKIE, kept, domain="localhost.local")
    assert not await signed_in(console), "the cookie is worth nothing any more"
    with psycopg.connect(log_url) as connection:
        assert connection.execute("SELECT count(*) FROM console_sessions").fetchone() == (0,)


async def test_the_database_has_no_token_of_a_session(console: ConsoleClient, log_url: str) -> None:
    await console.sign_in()
    with psycopg.connect(log_url) as connection:
        [row] = connection.execute("SELECT s::text FROM console_sessions AS s").fetchall()
    assert console.http.cookies[COOKIE] not in row[0]


async def test_signing_in_leads_on_but_never_to_another_site(console: ConsoleClient) -> None:
    for goal, led in {
        "/inbox?q=a": "/inbox?q=a",
        "//evil.example": "/",
        "/\\evil.example": "/",
        "https://evil.example": "/",
        "/\t/evil.example": "/",
    }.items():
        answer = await console.post("/sign-in", person="ann", next=goal)
        assert (await console.get(answer.headers["location"])).headers["location"] == led
        await console.send("/sign-out")


async def test_a_browser_that_keeps_no_cookie_is_told_why_it_is_not_signed_in(
    console: ConsoleClient,
) -> None:
    answer = await console.post("/sign-in", person="ann")
    console.http.cookies.clear()
    page = await console.get(answer.headers["location"])
    assert page.status_code == 400
    assert "did not keep the session" in page.text


async def test_what_was_typed_outlives_the_end_of_a_session(
    console: ConsoleClient, log_url: str
) -> None:
    await console.sign_in()
    csrf = await console.csrf()
    end_early(log_url, "ends_at = clock_timestamp()")
    answer = await console.post(
        "/approvals/x/grant", csrf=csrf, comment="Looks <right>", page="/approvals/x"
    )
    assert answer.status_code == 401
    assert 'name="comment" value="Looks &lt;right&gt;"' in answer.text
    assert 'name="next" value="/approvals/x"' in answer.text


@pytest.fixture
async def sessions(whole_server: WholeServer) -> Sessions:
    return Sessions(whole_server.pool, {ANN.id: ANN}, lifetime=3600, idle=3600)


async def begun(sessions: Sessions) -> Session:
    session = await sessions.find(await sessions.begin(person="ann"))
    assert session is not None
    return session


async def test_a_stream_ends_when_its_person_signs_out(sessions: Sessions) -> None:
    mine, other = await begun(sessions), await begun(sessions)
    with sessions.follow(mine) as stream, sessions.follow(other) as other_stream:
        await sessions.end(mine)
        assert stream.ended.is_set()
        assert not other_stream.ended.is_set(), "another session of the same person goes on"


async def test_a_stream_ends_when_its_session_ends_elsewhere(
    sessions: Sessions, log_url: str
) -> None:
    await sessions.start()
    try:
        with sessions.follow(await begun(sessions)) as stream:
            end_early(log_url, "ends_at = clock_timestamp()")
            async with asyncio.timeout(60):
                await stream.ended.wait()
            assert stream.principal is None
    finally:
        await sessions.close()


async def test_a_draft_is_kept_until_it_is_dropped(sessions: Sessions) -> None:
    draft = Draft("/approvals/x", "Looks right")
    token = await sessions.begin(person="ann", draft=draft)
    session = await sessions.find(token)
    assert session is not None
    assert session.draft == draft
    await sessions.drop_draft(session)
    again = await sessions.find(token)
    assert again is not None
    assert again.draft is None


async def test_a_made_up_person_is_nobody_once_the_server_is_in_production(log_url: str) -> None:
    settings = Settings.read(database_url=log_url, mode="production")
    async with WholeServer.open(log_url) as server, ConsoleClient.open(server) as console:
        await console.sign_in("ann")
        token = console.http.cookies[COOKIE]
    assert TOKENS
    async with serve(settings, log_url, {}) as built:
        assert await Sessions(built.pool, {}, lifetime=3600, idle=3600).find(token) is None


async def test_sessions_of_before_stay_when_sign_ins_at_providers_come(database_url: str) -> None:
    before = """
        ALTER TABLE console_sessions DROP COLUMN identity CASCADE,
            ADD CONSTRAINT console_sessions_check CHECK ((api_key IS NULL) <> (person IS NULL));
        INSERT INTO console_sessions (token_hash, person, ends_at) VALUES ('a', 'ann', 'infinity')
    """
    migrate(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(before)
        for _ in range(2):
            migrate(database_url)
        connection.execute(
            "INSERT INTO console_sessions (token_hash, identity, ends_at)"
            " VALUES ('b', '{}', 'infinity')"
        )
        assert connection.execute("SELECT count(*) FROM console_sessions").fetchone() == (2,)
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute(
                "INSERT INTO console_sessions (token_hash, ends_at) VALUES ('c', 'infinity')"
            )
