from datetime import timedelta

import msgspec
import pytest

from placet import Policy, require


def encoded(policy: Policy) -> object:
    return msgspec.json.decode(msgspec.json.encode(policy))


def test_policies_combine() -> None:
    policy = require(2, group="finance") & require(groups=["legal", "risk"], user="ada")
    assert encoded(policy) == {
        "requirements": [
            {"count": 2, "groups": ["finance"]},
            {"groups": ["legal", "risk"], "users": ["ada"]},
        ],
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


def test_stages_follow_one_another() -> None:
    policy = require(2, group="finance").then(require(group="legal")).then(require(user="ada"))
    assert [each.stage for each in policy.requirements] == [1, 2, 3]
    beside = policy & require(group="risk", stage=3)
    assert encoded(beside) == {
        "requirements": [
            {"count": 2, "groups": ["finance"]},
            {"groups": ["legal"], "stage": 2},
            {"users": ["ada"], "stage": 3},
            {"groups": ["risk"], "stage": 3},
        ],
    }
    with pytest.raises(ValueError, match="stage of at least 1, not 0"):
        require(group="finance", stage=0)


def test_a_policy_says_what_happens_at_its_deadline() -> None:
    policy = require(group="finance").expires(
        timedelta(days=2),
        remind_before=[timedelta(hours=4)],
        on_expiry="ESCALATE",
        escalate_to=["board"],
    )
    policy = policy.lapses(timedelta(hours=1)).require_comment()
    assert encoded(policy) == {
        "requirements": [{"groups": ["finance"]}],
        "within": "P2D",
        "remindBefore": ["PT14400S"],
        "onExpiry": "ESCALATE",
        "escalateTo": ["board"],
        "validFor": "PT3600S",
        "commentRequired": True,
    }


def test_of_two_policies_the_deadline_of_the_one_that_has_one_holds() -> None:
    timed = require(group="finance").expires(timedelta(days=2)).lapses(timedelta(hours=2))
    both = timed & require(group="legal").lapses(timedelta(hours=1)).require_comment()
    assert (both.within, both.valid_for) == (timedelta(days=2), timedelta(hours=1))
    assert both.comment_required
    with pytest.raises(ValueError, match="deadline of their own"):
        timed & require(group="legal").expires(timedelta(days=1))


def test_a_policy_counts_its_times_in_a_calendar() -> None:
    policy = require(group="finance", calendar="office").expires(timedelta(hours=8))
    assert encoded(policy) == {
        "requirements": [{"groups": ["finance"]}],
        "within": "PT28800S",
        "calendar": "office",
    }
    assert policy == require(group="finance").expires(timedelta(hours=8), calendar="office")
    assert (policy & require(group="legal")).calendar == "office"
    with pytest.raises(ValueError, match="two calendars: 'office' and 'factory'"):
        policy & require(group="legal", calendar="factory")


def test_an_escalation_names_groups_and_only_an_escalation_does() -> None:
    policy = require(group="finance")
    with pytest.raises(ValueError, match="need each other"):
        policy.expires(timedelta(days=1), on_expiry="ESCALATE")
    with pytest.raises(ValueError, match="need each other"):
        policy.expires(timedelta(days=1), escalate_to=["board"])
    with pytest.raises(ValueError, match="must be one of REJECT, GRANT, ESCALATE"):
        policy.expires(timedelta(days=1), on_expiry="WAIT")  # type: ignore[arg-type]


def test_a_policy_asks_for_a_login() -> None:
    policy = require(group="finance").step_up("phr", "phrh", max_auth_age=timedelta(minutes=5))
    assert encoded(policy) == {
        "requirements": [{"groups": ["finance"]}],
        "acrValues": ["phr", "phrh"],
        "maxAuthAge": "PT300S",
    }
    same = require(group="finance", acr_values=["phr", "phrh"], max_auth_age=timedelta(minutes=5))
    assert policy == same
    with pytest.raises(ValueError, match="needs acr_values or max_auth_age"):
        require(group="finance").step_up()


def test_of_two_policies_the_login_is_one_that_both_take() -> None:
    one = require(group="finance").step_up("phr", "phrh", max_auth_age=timedelta(minutes=5))
    both = one & require(group="legal").step_up("phrh", max_auth_age=timedelta(minutes=1))
    assert (both.acr_values, both.max_auth_age) == (("phrh",), timedelta(minutes=1))
    assert (one & require(group="legal")).acr_values == ("phr", "phrh")
    with pytest.raises(ValueError, match="no login has a strength out of"):
        one & require(group="legal").step_up("gold")
