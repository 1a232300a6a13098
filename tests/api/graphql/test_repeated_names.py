"""JSON in which an object has a name twice is refused, whichever way it comes in."""

import json
from typing import Any

import pytest

from api.graphql.json_body import decode_json
from tests.api.whole_server import WholeServer

VIEWER = "{ viewer { id } }"
TWICE = '{"payload":{"cost":10,"cost":10000}}'


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":1,"\\u0061":2}',
        '[{"b":{"a":null, "c": 1, "a":2}}]',
        '{"a":1,"a":"\\ud800"}',
        '{"a":1e400,"a":1}',
    ],
)
def test_a_name_twice_in_one_object_is_refused_with_the_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"^the body has an object with the name 'a' twice; send"):
        decode_json(text.encode(), "the body")


@pytest.mark.parametrize(
    "text",
    [
        '{"a":{"a":1},"b":[{"a":1},{"a":2}]}',
        '{ "a": 1.50, "b": [1, 2] }',
        '{"a":9007199254740993,"b":123456789012345678901234567890}',
        '{"a":"\\u00eb \\/","A":true}',
        '{"a":"\\ud800"}',
    ],
)
def test_other_json_is_read_as_before(text: str) -> None:
    assert decode_json(text.encode(), "the body") == json.loads(text)


async def test_a_body_with_a_name_twice_is_a_bad_request(whole_server: WholeServer) -> None:
    body = f'{{"query":"{VIEWER}","variables":{TWICE}}}'
    _refused(
        await whole_server.post(body.encode()), "the body has an object with the name 'cost' twice"
    )


@pytest.mark.parametrize("name", ["variables", "extensions"])
async def test_a_parameter_of_the_url_with_a_name_twice_is_a_bad_request(
    whole_server: WholeServer, name: str
) -> None:
    answer = await _get(whole_server, {"query": VIEWER, name: TWICE})
    _refused(answer, f"{name} has an object with the name 'cost' twice")


async def test_a_parameter_that_is_given_twice_is_a_bad_request(whole_server: WholeServer) -> None:
    answer = await _get(whole_server, [("query", VIEWER), ("query", "{ stateDiagram }")])
    _refused(answer, "a parameter is given twice")


async def test_a_message_with_a_name_twice_closes_the_socket_as_a_bad_request(
    whole_server: WholeServer,
) -> None:
    async with whole_server.socket() as socket:
        text = f'{{"query":"{VIEWER}","variables":{TWICE}}}'
        await socket.send_text(f'{{"type":"subscribe","id":"1","payload":{text}}}')
        code, reason = await socket.closed()
        assert (code, "the name 'cost' twice" in reason) == (4400, True)


async def _get(whole_server: WholeServer, parameters: Any) -> Any:
    headers = {"authorization": "Bearer olivia"}
    return await whole_server.http.get("/graphql", params=parameters, headers=headers)


def _refused(answer: Any, saying: str) -> None:
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    assert saying in error["message"]
