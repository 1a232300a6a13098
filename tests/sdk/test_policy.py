import msgspec
import pytest

from placet import Policy, require


def encoded(policy: Policy) -> object:
    return msgspec.json.decode(msgspec.json.encode(policy))


def test_policies_combine() -> None:
    policy = require(2, group="finance") & require(groups=["legal", "risk"], user="ada")
    assert encoded(policy) == {
        "requirements": [
            {"count": 2, "groups": ["finance"], "users": []},
            {"count": 1, "groups": ["legal", "risk"], "users": ["ada"]},
        ],
        "rejections": 1,
        "allowInitiator": False,
    }


def test_options_do_not_change_the_policy_they_are_made_from() -> None:
    strict = require(group="finance")
    lenient = strict.allow_initiator().rejections(2)
    assert (lenient.initiator_allowed, lenient.rejections_needed) == (True, 2)
    assert (strict.initiator_allowed, strict.rejections_needed) == (False, 1)


def test_the_stricter_side_holds() -> None:
    lenient = require(group="finance").allow_initiator().rejections(2)
    both = lenient & require(group="legal")
    assert (both.initiator_allowed, both.rejections_needed) == (False, 1)


def test_nobody_could_meet_an_empty_requirement() -> None:
    with pytest.raises(ValueError, match="needs a group or a user"):
        require(1)


def test_count_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        require(0, group="finance")


def test_a_string_is_not_a_list_of_groups() -> None:
    with pytest.raises(TypeError, match="groups takes a list"):
        require(groups="finance")
