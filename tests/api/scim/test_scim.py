"""What SCIM does to the directory, and what it refuses."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from application.directory import Directory, KnownPerson
from domain.authorization import COMMAND_LINE, SCIM
from domain.directory.commands import ChangeGroups
from domain.directory.state import PersonSource
from domain.identifiers import person_stream_id
from domain.values import Role
from tests.api.whole_server import WholeServer
from tests.application.server_process import accepted
from tests.console.console_client import ConsoleClient
from tests.support.audit import findings
from tests.support.patience import HANGS

TOKEN = "a-token-of-the-identity-provider-alone"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
NFC, NFD = "caf\u00e9", "cafe\u0301"


class Provider:
    """An identity provider."""

    def __init__(self, server: WholeServer) -> None:
        self.server = server
        self.directory: Directory = server.directory

    async def send(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> httpx.Response:
        given = {"authorization": f"Bearer {TOKEN}", **headers}
        content = body if isinstance(body, bytes | None) else None
        return await self.server.http.request(
            method,
            f"/scim/v2{path}",
            headers=given,
            content=content,
            json=None if content is not None or body is None else body,
        )

    async def did(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.send(method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def user(self, user_name: str, **fields: Any) -> Any:
        return await self.did(
            "POST", "/Users", {"schemas": [USER], "userName": user_name, **fields}
        )

    async def group(self, name: str, *members: Any) -> Any:
        listed = [{"value": each["id"]} for each in members]
        body = {"schemas": [GROUP], "displayName": name, "members": listed}
        return await self.did("POST", "/Groups", body)

    async def patch(self, path: str, *operations: Any) -> Any:
        return await self.did("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    async def groups_of(self, name: str) -> set[str]:
        person = await self.directory.person(name)
        assert person is not None
        return set(person.groups)


@pytest.fixture
async def provider(log_url: str) -> AsyncIterator[Provider]:
    async with WholeServer.open(log_url, scim_token=TOKEN) as server:
        yield Provider(server)
    assert findings(log_url) == []


async def test_a_user_is_a_person_of_the_directory(provider: Provider) -> None:
    made = await provider.user(
        "ann",
        externalId="00u1",
        name={"givenName": "Ann", "familyName": "Onym"},
        emails=[{"value": "a@example.org"}, {"value": "ann@example.org", "primary": True}],
        roles=[{"value": "AUDITOR"}, {"value": "Team lead"}],
        somethingElse={"of": "the provider"},
    )

    ann = await provider.directory.person("ann")
    assert ann is not None
    assert (ann.name, ann.external_id, ann.source) == ("Ann Onym", "00u1", PersonSource.SCIM)
    assert ann.emails == ("ann@example.org", "a@example.org")
    assert set(ann.roles) == {Role.AUDITOR}
    assert made["meta"]["location"].endswith(f"/scim/v2/Users/{made['id']}")
    shown = await provider.did("GET", f"/Users/{made['id']}")
    assert (shown["userName"], shown["name"]["familyName"]) == ("ann", "Onym")
    for asked in ('userName eq "ANN"', 'externalId eq "00u1"', 'name.familyName co "nym"'):
        found = await provider.did("GET", f"/Users?filter={asked}")
        assert [each["id"] for each in found["Resources"]] == [made["id"]]
    none = await provider.did("GET", '/Users?filter=userName eq "an"')
    assert (none["totalResults"], none["Resources"]) == (0, [])


async def test_users_come_page_by_page(provider: Provider) -> None:
    for number in range(5):
        await provider.user(f"p{number}")
    page = await provider.did("GET", "/Users?startIndex=2&count=2&attributes=userName")
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (5, 2, 2)
    assert [each["userName"] for each in page["Resources"]] == ["p1", "p2"]
    assert "meta" not in page["Resources"][0]
    beyond = await provider.did("GET", "/Users?startIndex=9")
    assert (beyond["totalResults"], beyond["Resources"]) == (5, [])


async def test_who_is_not_active_any_more_can_not_act(provider: Provider) -> None:
    made = await provider.user("ann", active=True)
    viewer = {"query": "{ viewer { id } }"}
    assert (await provider.server.post(viewer, "ann")).status_code == 200

    # As Entra ID writes it.
    off = {"op": "Replace", "path": "active", "value": "False"}
    assert (await provider.patch(f"/Users/{made['id']}", off))["active"] is False
    async with asyncio.timeout(HANGS):
        while (await provider.server.post(viewer, "ann")).status_code != 401:
            await asyncio.sleep(0.05)
    on = {"schemas": [USER], "userName": "ann", "active": True}
    assert (await provider.did("PUT", f"/Users/{made['id']}", on))["active"] is True
    assert await provider.directory.deactivated() <= {"ann"}


async def test_scim_does_not_undo_what_an_administrator_has_deactivated(
    provider: Provider,
) -> None:
    made = await provider.user("ann", active=True)
    accepted(await provider.directory.deactivate(COMMAND_LINE, "ann"))
    body = {"schemas": [USER], "userName": "ann", "active": True}
    assert (await provider.did("PUT", f"/Users/{made['id']}", body))["active"] is False
    accepted(await provider.directory.reactivate(COMMAND_LINE, "ann"))
    # A provider that does not say so changes nothing about it.
    accepted(await provider.directory.deactivate(SCIM, "ann"))
    await provider.did("PUT", f"/Users/{made['id']}", {**body, "active": None})
    ann = await provider.directory.person("ann")
    assert ann is not None
    assert not ann.active


async def test_a_deleted_user_is_deactivated_and_may_be_made_again(provider: Provider) -> None:
    made = await provider.user("ann")
    await provider.group("finance", made)
    assert (await provider.send("DELETE", f"/Users/{made['id']}")).status_code == 204
    assert (await provider.send("GET", f"/Users/{made['id']}")).status_code == 404
    ann = await provider.directory.person("ann")
    assert ann is not None
    assert (ann.active, set(ann.groups)) == (False, set())

    again = await provider.user("ann")
    assert again["id"] != made["id"]
    ann = await provider.directory.person("ann")
    assert ann is not None
    assert ann.active


async def test_members_of_groups_are_events_of_the_people(provider: Provider) -> None:
    ann, bob = await provider.user("ann"), await provider.user("bob")
    made = await provider.group(f"{NFD} ", ann)
    assert await provider.groups_of("ann") == {NFC}

    path = f"/Groups/{made['id']}"
    add = {"op": "Add", "path": "members", "value": [{"value": bob["id"]}]}
    await provider.patch(path, add)
    assert [each["id"] for each in await provider.server.events_of("bob")][-1:] == ["placet:scim"]
    remove = {"op": "Remove", "path": f'members[value eq "{ann["id"]}"]'}
    shown = await provider.patch(path, remove)
    assert [each["value"] for each in shown["members"]] == [bob["id"]]
    assert await provider.groups_of("ann") == set()
    user = await provider.did("GET", f"/Users/{bob['id']}")
    assert [each["display"] for each in user["groups"]] == [NFC]

    rename = {"op": "replace", "path": "displayName", "value": "board"}
    await provider.patch(path, rename)
    assert await provider.groups_of("bob") == {"board"}
    found = await provider.did("GET", '/Groups?filter=displayName eq "board"')
    assert found["totalResults"] == 1
    mine = f'/Groups?filter=id eq "{made["id"]}" and members[value eq "{bob["id"]}"]'
    assert (await provider.did("GET", mine))["totalResults"] == 1
    assert (await provider.send("DELETE", path)).status_code == 204
    assert await provider.groups_of("bob") == set()


EVENTS = """{ events(first: 100) { edges { node {
    executionId version type actor { id } data
} } } }"""


async def test_each_change_of_a_group_is_seen_in_events_and_audit(provider: Provider) -> None:
    ann, bob = await provider.user("ann"), await provider.user("bob")
    made = await provider.group("finance", ann, bob)
    path = f"/Groups/{made['id']}"
    await provider.patch(path, {"op": "replace", "path": "displayName", "value": "treasury"})
    remove = {"op": "remove", "path": f'members[value eq "{ann["id"]}"]'}
    await provider.patch(path, remove)
    await provider.did("DELETE", path)

    server = provider.server
    auditor = await server.keys.create("audrey", roles=[Role.AUDITOR])
    shown = (await server.post({"query": EVENTS}, auditor)).json()["data"]["events"]["edges"]
    groups: dict[str, list[list[str]]] = {"ann": [], "bob": []}
    for node in (edge["node"] for edge in shown):
        if node["type"] == "PersonRecorded" and node["data"]["person"] in groups:
            assert node["actor"]["id"] == "placet:scim"
            assert node["executionId"] == str(person_stream_id(node["data"]["person"]))
            groups[node["data"]["person"]].append(node["data"]["groups"])
    changes = [[], ["finance"], ["treasury"], []]
    assert groups == {"ann": changes, "bob": changes}
    async with ConsoleClient.open(server) as console:
        answer = await console.post("/sign-in", token=auditor)
        await console.get(answer.headers["location"])
        page = (await console.get(f"/audit?execution={person_stream_id('bob')}")).text
    assert page.count("placet:scim") >= len(changes)


async def test_a_rename_that_was_cut_short_is_done_when_it_is_repeated(provider: Provider) -> None:
    ann, bob = await provider.user("ann"), await provider.user("bob")
    made = await provider.group("finance", ann, bob)
    await provider.group("legal")
    path = f"/Groups/{made['id']}"
    taken = {"op": "replace", "path": "displayName", "value": "legal"}
    refused = await provider.send("PATCH", path, {"schemas": [PATCH], "Operations": [taken]})
    assert refused.status_code == 409
    assert await provider.groups_of("ann") == {"finance"}

    # What a server leaves that is killed after the first of several commits.
    moved = ChangeGroups(
        by=SCIM, person="ann", joined=frozenset({"board"}), left=frozenset({"finance"})
    )
    accepted(await provider.directory.send(moved))
    rename = {"op": "replace", "path": "displayName", "value": "board"}
    shown = await provider.patch(path, rename)
    assert {each["value"] for each in shown["members"]} == {ann["id"], bob["id"]}
    assert await provider.groups_of("ann") == await provider.groups_of("bob") == {"board"}


async def test_two_groups_at_once_lose_no_member(provider: Provider) -> None:
    ann = await provider.user("ann")
    groups = [await provider.group(f"g{number}") for number in range(8)]
    add = {"op": "add", "path": "members", "value": [{"value": ann["id"]}]}
    await asyncio.gather(*(provider.patch(f"/Groups/{each['id']}", add) for each in groups))
    assert await provider.groups_of("ann") == {f"g{number}" for number in range(8)}


async def test_another_user_name_is_another_person(provider: Provider) -> None:
    made = await provider.user("ann")
    await provider.group("finance", made)
    rename = {"op": "replace", "path": "userName", "value": "ann.married"}
    shown = await provider.patch(f"/Users/{made['id']}", rename)

    assert (shown["id"], shown["userName"]) == (made["id"], "ann.married")
    assert await provider.groups_of("ann.married") == {"finance"}
    before = await provider.directory.person("ann")
    assert before is not None
    assert (before.active, set(before.groups)) == (False, set())


async def test_who_is_known_already_is_taken_over(provider: Provider) -> None:
    known = KnownPerson(id="ann", groups=frozenset({"legal"}), name="A.", source=PersonSource.ADMIN)
    accepted(await provider.directory.record(COMMAND_LINE, known))
    await provider.user("ann", displayName="Ann")
    ann = await provider.directory.person("ann")
    assert ann is not None
    assert (ann.name, ann.source, set(ann.groups)) == ("Ann", PersonSource.SCIM, set())


async def test_the_id_of_the_person_may_be_another_attribute(log_url: str) -> None:
    options: Any = {"scim_token": TOKEN, "scim_person_id": "externalId"}
    async with WholeServer.open(log_url, **options) as server:
        provider = Provider(server)
        made = await provider.user("ann@example.org", externalId="7f0c")
        assert await provider.directory.person("7f0c") is not None
        rename = {"op": "replace", "path": "userName", "value": "ann@example.com"}
        await provider.patch(f"/Users/{made['id']}", rename)
        person = await provider.directory.person("7f0c")
        assert person is not None
        assert person.active
        body = {"schemas": [USER], "userName": "bob"}
        assert (await provider.send("POST", "/Users", body)).json()["scimType"] == "invalidValue"


WRONG: tuple[tuple[str, str, Any, int, str], ...] = (
    ("POST", "/Users", {"schemas": [USER]}, 400, "userName"),
    ("POST", "/Users", {"schemas": [USER], "userName": "placet"}, 400, "reserved"),
    ("POST", "/Users", {"schemas": [USER], "userName": "a\nb"}, 400, "line break"),
    ("POST", "/Users", {"schemas": [USER], "userName": "ANN"}, 409, "already"),
    ("POST", "/Users", b"{", 400, "not JSON"),
    ("POST", "/Users", b"[1]", 400, ""),
    ("POST", "/Users", b'"' + b"x" * 2_000_000 + b'"', 413, "bytes"),
    ("GET", "/Users?filter=userName eqq 1", None, 400, "syntax"),
    ("GET", "/Users?filter=nothing eq 1", None, 400, ""),
    ("GET", "/Users?count=many", None, 400, ""),
    ("GET", "/Users/nothing", None, 404, "no user"),
    ("GET", "/Groups/0190f1a6-0000-7000-8000-000000000009", None, 404, "no group"),
    ("GET", "/Nothing", None, 404, ""),
    ("DELETE", "/Users", None, 405, ""),
    (
        "POST",
        "/Groups",
        {"schemas": [GROUP], "displayName": "g", "members": [{"value": "x"}]},
        400,
        "ids of users",
    ),
    (
        "POST",
        "/Groups",
        {
            "schemas": [GROUP],
            "displayName": "g",
            "members": [{"value": "0190f1a6-0000-7000-8000-000000000009"}],
        },
        400,
        "no user with the id",
    ),
    ("POST", "/Groups", {"schemas": [GROUP], "displayName": " "}, 400, "displayName"),
)


async def test_what_is_wrong_is_an_error_of_scim(provider: Provider) -> None:
    await provider.user("ann")
    for method, path, body, status, said in WRONG:
        answer = await provider.send(method, path, body)
        assert answer.status_code == status, (path, body, answer.text)
        error = answer.json()
        assert error["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
        assert said in error["detail"], (path, body)
        assert answer.headers["content-type"] == "application/scim+json"


async def test_only_the_token_of_scim_is_taken_and_only_there(provider: Provider) -> None:
    admin = await provider.server.keys.create("root", roles=list(Role))
    for token in (admin, "olivia", "", TOKEN[:-1], "\u00e9"):
        headers = {b"authorization": f"Bearer {token}".encode()}
        answer = await provider.server.http.get("/scim/v2/Users", headers=headers)
        assert answer.status_code == 401
    assert (await provider.server.post({"query": "{ viewer { id } }"}, TOKEN)).status_code == 401


async def test_without_a_token_there_is_no_scim(whole_server: WholeServer) -> None:
    assert (await whole_server.http.get("/scim/v2/Users")).status_code == 404


async def test_each_change_has_scim_as_its_actor(provider: Provider) -> None:
    await provider.user("ann")
    assert {each["id"] for each in await provider.server.events_of("ann")} == {"placet:scim"}
