"""Which tokens are taken, and which are refused for which reason."""

import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey
from structlog.testing import capture_logs

from tests.api.identity.issuer_files import issuer_table, write
from tests.api.whole_server import WholeServer
from tests.support.oidc_provider import RunningProvider, SigningIssuer

VIEWER = {"query": "{ viewer { id name roles groups } }"}


@pytest.fixture
async def server(
    log_url: str, issuers_file: Path, issuer: SigningIssuer, provider: RunningProvider
) -> AsyncIterator[WholeServer]:
    real = issuer_table(provider.url, "real", 'claims.name = "nickname"')
    write(issuers_file, issuer_table(issuer.url), real)
    async with WholeServer.open(log_url, "production", issuers=issuers_file) as server:
        yield server


async def viewer(server: WholeServer, token: str) -> Any:
    answer = await server.post(VIEWER, token)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["viewer"]


async def refusal(server: WholeServer, token: str) -> str:
    """Return the reason in the log. The answer is that for a token that nobody knows."""
    with capture_logs() as logs:
        answer = await server.post(VIEWER, token)
    unknown = await server.post(VIEWER, "unknown")
    assert (answer.status_code, answer.json()) == (401, unknown.json())
    assert answer.headers["www-authenticate"] == unknown.headers["www-authenticate"]
    assert token not in json.dumps(logs)
    [reason] = [one["reason"] for one in logs if one["event"] == "token_refused"]
    return str(reason)


async def test_a_token_of_a_real_provider_is_taken(
    server: WholeServer, provider: RunningProvider
) -> None:
    provider.knows("mia", nickname="Mia", roles=["approver", "cook"], groups=["finance"])
    assert await viewer(server, provider.id_token("mia")) == {
        "id": "real:mia",
        "name": "Mia",
        "roles": ["APPROVER"],
        "groups": ["real:finance"],
    }
    assert "not for placet" in await refusal(server, provider.id_token("mia", "another-client"))


async def test_a_token_of_the_first_issuer_is_taken(
    server: WholeServer, issuer: SigningIssuer
) -> None:
    assert await viewer(server, issuer.token()) == {
        "id": "maja",
        "name": "Maja",
        "roles": ["APPROVER"],
        "groups": ["finance"],
    }
    asked = issuer.asked
    token = issuer.token(header={"typ": "at+jwt"}, aud=["placet", "other"], nbf=time.time())
    await viewer(server, token)
    issuer.away = True
    await viewer(server, token)
    assert issuer.asked == asked, "no token is looked up over the network once its key is known"


async def test_what_is_not_valid_is_refused_as_an_unknown_token_is(
    server: WholeServer, issuer: SigningIssuer
) -> None:
    await viewer(server, issuer.token())
    now, key, other = time.time(), issuer.keys[0], RSAKey.generate_key(2048)
    small = RSAKey.generate_key(2048)
    none = issuer.token().split(".")
    header = "eyJhbGciOiJub25lIn0"
    cases: dict[str, str] = {
        "the issuer 'https://evil.example' is not": issuer.token(iss="https://evil.example"),
        "the issuer None is not configured": issuer.token(iss=None),
        "it is for 'elsewhere', not for placet": issuer.token(aud="elsewhere"),
        "it is for None": issuer.token(aud=None),
        "it is for {'placet': 1}": issuer.token(aud={"placet": 1}),
        "the signature is wrong": issuer.token(other),
        "the algorithm 'none' is not one of RS256": f"{header}.{none[1]}.",
        "the algorithm 'HS256' is not one of RS256": _signed_with_the_public_key(issuer),
        "the algorithm 'PS256' is not one of RS256": issuer.token(key, {"alg": "PS256"}),
        "the algorithm 'ES256' is": issuer.token(ECKey.generate_key("P-256"), {"alg": "ES256"}),
        "publishes no key 'other'": issuer.token(small, {"kid": "other"}),
        "it has expired": issuer.token(exp=now - 6),
        "it never expires": issuer.token(exp=None),
        "exp is no number": issuer.token(exp="tomorrow"),
        "exp is no moment": issuer.token(exp=1e300),
        "nbf is no number": issuer.token(nbf=True),
        "it is not valid yet": issuer.token(nbf=now + 60),
        "iat is in the future": issuer.token(iat=now + 60),
        "auth_time is in the future": issuer.token(auth_time=now + 60),
        "the type 'logout+jwt'": issuer.token(header={"typ": "logout+jwt"}),
        "extensions that must be understood": _with_header(issuer, crit=["exp"], exp=1),
        "sub is no text": issuer.token(sub=None),
        "sub is no text of": issuer.token(sub="s" * 256),
        "the id 'Placet' is reserved": issuer.token(sub="Placet"),
        "the id 'real:mia' has the form": issuer.token(sub="real:mia"),
        "which is the id, holds a character": issuer.token(sub="a\nb"),
        "it has 501 groups": issuer.token(groups=[f"g{n}" for n in range(501)]),
        "the limit is 16384": issuer.token(more="x" * 16_384),
        "it is no JSON Web Token": "a.b.c",
        "is no JSON Web Token": f"{header}.{'W1tb' * 3000}.x",
    }
    for said, token in cases.items():
        assert said in await refusal(server, token)


def _with_header(issuer: SigningIssuer, **header: Any) -> str:
    """Return a token with another header. Its signature can't be right, but is looked at last."""
    return ".".join([_encoded(header), *issuer.token().split(".")[1:]])


def _signed_with_the_public_key(issuer: SigningIssuer) -> str:
    """Sign with what everybody knows, as if it were a secret. The library refuses to do so."""
    header, claims = _encoded({"alg": "HS256", "kid": "first"}), issuer.token().split(".")[1]
    secret = issuer.keys[0].as_pem(private=False)
    signature = hmac.digest(secret, f"{header}.{claims}".encode(), "sha256")
    return f"{header}.{claims}.{_base64(signature)}"


def _encoded(header: dict[str, Any]) -> str:
    return _base64(json.dumps({"alg": "RS256", "kid": "first", **header}).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def test_clocks_may_differ_by_the_skew(server: WholeServer, issuer: SigningIssuer) -> None:
    now = time.time()
    await viewer(server, issuer.token(exp=now - 3))
    await viewer(server, issuer.token(nbf=now + 3, iat=now + 3))


async def test_a_token_ends_when_it_expires_though_it_is_known(
    server: WholeServer, issuer: SigningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(exp=time.time() + 60)
    await viewer(server, token)
    real: Callable[[], float] = time.time
    monkeypatch.setattr("api.identity.identities.time.time", lambda: real() + 64)
    await viewer(server, token)
    monkeypatch.setattr("api.identity.identities.time.time", lambda: real() + 66)
    assert "it has expired" in await refusal(server, token)


async def test_a_rotated_key_is_found_and_one_that_is_gone_ends_its_tokens(
    server: WholeServer, issuer: SigningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = issuer.token()
    await viewer(server, before)
    monkeypatch.setattr("api.identity.provider.ASK_AGAIN", 0.0)
    issuer.rotate("second", keep=True)
    await viewer(server, issuer.token())
    await viewer(server, before)
    issuer.rotate("third")
    await viewer(server, issuer.token())
    assert "publishes no key 'first'" in await refusal(server, before)


async def test_tokens_with_unknown_keys_do_not_make_the_server_ask_again_and_again(
    server: WholeServer, issuer: SigningIssuer
) -> None:
    await viewer(server, issuer.token())
    asked = issuer.asked
    for number in range(20):
        token = issuer.token(header={"kid": f"guess-{number}"})
        assert (await server.post(VIEWER, token)).status_code == 401
    # The keys were read less than ten seconds ago, when the server started.
    assert issuer.asked == asked


async def test_the_last_keys_stay_good_while_the_provider_is_away(
    server: WholeServer, issuer: SigningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await viewer(server, issuer.token())
    monkeypatch.setattr("api.identity.provider.ASK_AGAIN", 0.0)
    issuer.away = True
    known = issuer.token(jti="another")
    issuer.rotate("second", keep=True)
    # Perhaps it is a new key: that can't be told now, so the token is not called invalid.
    answer = await server.post(VIEWER, issuer.token(), accept="application/graphql-response+json")
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    await viewer(server, known)
    issuer.away = False
    await viewer(server, issuer.token())


async def test_the_server_starts_while_a_provider_is_away_and_reads_its_keys_later(
    log_url: str, issuers_file: Path, issuer: SigningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(issuers_file, issuer_table(issuer.url))
    issuer.away = True
    monkeypatch.setattr("api.identity.provider.ASK_AGAIN", 0.0)
    async with WholeServer.open(log_url, "production", issuers=issuers_file) as server:
        answer = await server.post(VIEWER, issuer.token())
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        async with server.socket(None) as socket:
            payload = {"authorization": f"Bearer {issuer.token()}"}
            await socket.send("connection_init", payload=payload)
            assert (await socket.closed())[0] == 1013
        issuer.away = False
        await viewer(server, issuer.token())


async def test_an_issuer_that_says_another_name_or_too_much_is_not_believed(
    log_url: str, issuers_file: Path, issuer: SigningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(issuers_file, issuer_table(issuer.url))
    monkeypatch.setattr("api.identity.provider.ASK_AGAIN", 0.0)
    documents: list[dict[str, Any]] = [
        {"issuer": "https://evil.example"},
        {"jwks_uri": "http://evil.example/keys"},
        {"more": "x" * 600_000},
    ]
    async with WholeServer.open(log_url, "production", issuers=issuers_file) as server:
        for document in documents:
            issuer.discovery = document
            issuer.keys = [RSAKey.generate_key(2048, {"kid": "other"})]
            with capture_logs() as logs:
                answer = await server.post(VIEWER, issuer.token())
            assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE", document
            assert any(one["event"] == "token_not_checked" for one in logs)


async def test_a_provider_that_never_answers_keeps_nobody_waiting(
    server: WholeServer, issuer: SigningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = issuer.token()
    await viewer(server, known)
    monkeypatch.setattr("api.identity.provider.ASK_AGAIN", 0.0)
    monkeypatch.setattr("api.identity.provider.WITHIN", 0.2)
    issuer.answers.clear()
    issuer.rotate("second", keep=True)
    answer = await server.post(VIEWER, issuer.token())
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    await viewer(server, known)
    issuer.answers.set()
    await viewer(server, issuer.token())


async def test_a_flood_of_wrong_tokens_does_not_fill_the_log(
    server: WholeServer, issuer: SigningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await viewer(server, issuer.token())
    monkeypatch.setattr("api.identity.identities.MAX_LOGGED", 2)
    with capture_logs() as logs:
        for number in range(30):
            token = issuer.token(aud=f"other-{number}")
            assert (await server.post(VIEWER, token)).status_code == 401
    said = [one for one in logs if one["event"] == "token_refused"]
    assert len(said) < 30
    assert len(said) + sum(one.get("unsaid", 0) for one in said) <= 30


async def test_keys_at_a_configured_address_need_no_discovery(
    log_url: str, issuers_file: Path, issuer: SigningIssuer
) -> None:
    more = f'jwks_uri = "{issuer.url}/jwks"\nsign_in = {{client_id = "console"}}'
    write(issuers_file, issuer_table(issuer.url, more=more))
    issuer.discovery = {"issuer": "https://another.example"}
    async with WholeServer.open(log_url, "production", issuers=issuers_file) as server:
        await viewer(server, issuer.token())
