"""A token belongs to the same person and groups, however their names were written."""

from application.api_keys import ApiKeys
from domain.values import Role
from tests.api.whole_server import WholeServer

NFC, NFD = "zo\u00eb", "zoe\u0308"


async def test_a_key_is_made_for_the_normal_name_of_its_owner(whole_server: WholeServer) -> None:
    keys: ApiKeys = whole_server.keys
    token = await keys.create("key", owner=f"{NFD} ", roles=[Role.APPROVER], groups=[NFD, NFC])
    [key] = await keys.all()
    assert (key.owner, key.groups) == (NFC, frozenset({NFC}))
    answer = await whole_server.post({"query": "{ viewer { id groups } }"}, token)
    assert answer.json() == {"data": {"viewer": {"id": NFC, "groups": [NFC]}}}
