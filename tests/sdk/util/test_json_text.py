"""JSON from outside: a name twice in one object is refused."""

import pytest

from placet import Run
from placet._util.json_text import RepeatedNameError, parsed
from placet.testing import replay


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '[{"b": {"a": null, "c": 1, "\\u0061": 2}}]', b'{"a": 1, "a": 2}']
)
def test_a_name_twice_in_one_object_is_refused_with_the_name(text: str | bytes) -> None:
    with pytest.raises(RepeatedNameError) as raised:
        parsed(text, "the input")
    assert str(raised.value) == (
        "the input has an object with the name 'a' twice; give each name once"
    )


def test_the_same_name_in_two_objects_is_fine() -> None:
    assert parsed('{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}', "the input") == {
        "a": {"a": 1},
        "b": [{"a": 1}, {"a": 2}],
    }


@pytest.mark.parametrize("text", ["{", "", '{"a": }', "[" * 100_000])
def test_what_is_no_json_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"^the input is not JSON: "):
        parsed(text, "the input")


def test_a_transcript_with_a_name_twice_is_refused() -> None:
    async def nothing(run: Run) -> None:
        await run.now()

    with pytest.raises(ValueError, match="the transcript has an object with the name 'events'"):
        replay('{"events": [], "events": []}', nothing)
