"""Who the claims of a token say somebody is."""

from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from structlog.testing import capture_logs

from api.identity.issuers import load_issuers
from api.identity.people import principal_of
from api.identity.tokens import Checked
from domain.values import Role
from tests.api.identity.issuer_files import issuer_table, write
from tests.api.identity.test_tokens import VIEWER, viewer
from tests.api.whole_server import WholeServer
from tests.support.oidc_provider import SigningIssuer

MAPPED = """
claims = {id = "preferred_username", roles = "realm_access.roles", queues = "https://q.example/q"}
default_roles = ["AUDITOR"]
[issuers.groups]
"6d2f" = "finance"
[issuers.id_mapping]
"u-17" = "ann"
"""


async def refused(server: WholeServer, token: str, reason: str) -> None:
    with capture_logs() as logs:
        assert (await server.post(VIEWER, token)).status_code == 401
    assert any(reason in str(one.get("reason")) for one in logs), logs


async def test_claims_are_mapped_as_the_file_says(
    log_url: str, issuers_file: Path, issuer: SigningIssuer
) -> None:
    write(issuers_file, issuer_table(issuer.url, more=MAPPED))
    async with WholeServer.open(log_url, "production", issuers=issuers_file) as server:
        token = issuer.token(
            preferred_username="maja",
            realm_access={"roles": ["approver", "approver", "unknown"]},
            groups=["6d2f", "staff", "\u0000", 7, "Cafe\u0301"],
            **cast("Any", {"https://q.example/q": "fast"}),
        )
        assert await viewer(server, token) == {
            "id": "maja",
            "name": "Maja",
            "roles": [Role.APPROVER, Role.AUDITOR],
            "groups": ["Caf\u00e9", "finance", "staff"],
        }
        plain = await viewer(server, issuer.token(preferred_username="ben", sub="b", groups=None))
        assert (plain["roles"], plain["groups"]) == (["AUDITOR"], [])


async def test_an_id_belongs_to_the_first_subject_that_had_it(
    log_url: str, issuers_file: Path, issuer: SigningIssuer
) -> None:
    write(issuers_file, issuer_table(issuer.url, more=MAPPED))
    async with WholeServer.open(log_url, "production", issuers=issuers_file) as server:

        def token(subject: str, name: Any) -> str:
            return issuer.token(sub=subject, preferred_username=name)

        assert (await viewer(server, token("s-1", "maja")))["id"] == "maja"
        await refused(server, token("s-2", "maja"), "belongs to another subject of 'acme'")
        # Who marries keeps the id, and with it what they have decided.
        assert (await viewer(server, token("s-1", "maja.smith")))["id"] == "maja"
        assert (await viewer(server, token("s-2", "maja.smith")))["id"] == "maja.smith"
        # An id of before is theirs to whom the file gives it, and nobody else's.
        assert (await viewer(server, token("s-3", "u-17")))["id"] == "ann"
        await refused(server, token("s-4", "ann"), "id_mapping gives the id 'ann' to somebody else")
        await refused(server, token("s-5", None), "the claim preferred_username, which is the id")


async def test_people_of_other_issuers_are_told_apart_by_the_alias(
    log_url: str, issuers_file: Path, issuer: SigningIssuer, partner: SigningIssuer
) -> None:
    mapping = 'id_mapping = {"m-9" = "maja"}\ngroups = {"board" = "board"}'
    write(issuers_file, issuer_table(issuer.url), issuer_table(partner.url, "partner", mapping))
    async with WholeServer.open(log_url, "production", issuers=issuers_file) as server:
        own = await viewer(server, issuer.token())
        theirs = await viewer(server, partner.token(groups=["finance", "board"]))
        assert (own["id"], own["groups"]) == ("maja", ["finance"])
        assert (theirs["id"], theirs["groups"]) == ("partner:maja", ["board", "partner:finance"])
        # Unless the file says that they are one person.
        assert (await viewer(server, partner.token(sub="m-9")))["id"] == "maja"
        # A key of one issuer signs nothing for the other.
        key = partner.keys[0]
        await refused(server, issuer.token(key), "the signature is wrong")


async def test_an_issuer_for_many_takes_only_tokens_with_the_claims_that_are_asked_for(
    log_url: str, issuers_file: Path, issuer: SigningIssuer
) -> None:
    more = 'require = {hd = "example.com", "tenant.id" = "t1"}\nclaims.subject = "oid"'
    write(issuers_file, issuer_table(issuer.url, more=more))
    async with WholeServer.open(log_url, "production", issuers=issuers_file) as server:
        mine: Any = {"hd": "example.com", "tenant": {"id": "t1"}, "oid": "o-1"}
        assert (await viewer(server, issuer.token(**mine)))["id"] == "maja"
        # The subject of another application of the provider, and the same person.
        await refused(
            server, issuer.token(**{**mine, "oid": "o-2"}), "belongs to another subject of 'acme'"
        )
        await refused(server, issuer.token(**{**mine, "hd": "evil.example"}), "not 'example.com'")
        await refused(server, issuer.token(**{**mine, "tenant": "t1"}), "tenant.id is None")
        await refused(server, issuer.token(**{**mine, "oid": 7}), "oid is no text")


@pytest.mark.parametrize(
    ("line", "claims", "email"),
    [
        ("", {"email": "maja@example.com", "email_verified": True}, "maja@example.com"),
        ("", {"email": "maja@example.com", "email_verified": "true"}, "maja@example.com"),
        ("", {"email": "maja@example.com"}, None),
        ("", {"email": "maja@example.com", "email_verified": False}, None),
        ("trust_email = true", {"email": "maja@example.com"}, "maja@example.com"),
        ("trust_email = true", {"email": "maja@example.com", "email_verified": False}, None),
        ("trust_email = true", {"email": "maja"}, None),
        ("", {"email": "maja@example.com", "email_verified": ["true"]}, None),
        ("", {"email": "maja@example.com", "email_verified": 1}, None),
        ("trust_email = true", {"email": "maja b@example.com"}, None),
    ],
)
def test_an_address_counts_only_if_it_is_verified(
    issuers_file: Path, line: str, claims: dict[str, Any], email: str | None
) -> None:

    [issuer] = load_issuers(write(issuers_file, issuer_table("https://a.example", more=line)))
    checked = Checked(issuer, "maja", {"acr": ["gold", "phr"], "auth_time": 1e9, **claims}, 2e9)
    principal = principal_of(checked, "maja")
    assert principal.email == email
    assert principal.acr == "gold phr"
    assert principal.auth_time is not None


@pytest.mark.parametrize(
    ("line", "acr"),
    [
        ('accepted_acr_values = ["phr", "phrh"]', "phr"),
        ('accepted_acr_values = ["PHR"]', None),
        ("accepted_acr_values = []", None),
    ],
)
def test_an_issuer_says_only_the_strengths_that_it_may(
    issuers_file: Path, line: str, acr: str | None
) -> None:
    [issuer] = load_issuers(write(issuers_file, issuer_table("https://a.example", more=line)))
    checked = Checked(issuer, "maja", {"acr": ["gold", "phr"]}, 2e9)
    assert principal_of(checked, "maja").acr == acr


async def test_the_same_claims_are_settled_once_by_all_servers(
    log_url: str, issuers_file: Path, issuer: SigningIssuer
) -> None:
    write(issuers_file, issuer_table(issuer.url, more=MAPPED))
    async with (
        WholeServer.open(log_url, "production", issuers=issuers_file) as one,
        WholeServer.open(log_url, "production", issuers=issuers_file) as other,
    ):
        for server in (one, other):
            await viewer(server, issuer.token(preferred_username="maja"))
    with psycopg.connect(log_url) as connection:
        rows = connection.execute("SELECT subject, person FROM identity_subjects").fetchall()
    assert rows == [("maja", "maja")]
