"""The catalogue has every text of the console, in every language."""

import re
from pathlib import Path

import pytest

from api.console.catalogue import DEFAULT, LANGUAGES, chosen_language
from api.console.views.wording import (
    MY_VERDICTS,
    REASONS,
    ROLES,
    STATES,
    TONES,
    VERDICTS,
    reason_text,
)
from domain.approvals import eligibility, four_eyes
from domain.approvals.state import ApprovalStatus, Verdict
from domain.values import ExecutionState, Role
from tests.console import catalogue

OTHERS = [name for name in LANGUAGES if name != DEFAULT]
PLACE = re.compile(r"%\(\w+\)[sd]|\{\w+\}")


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_text_of_the_code_and_no_other(language: str) -> None:
    there = {message.id for message in catalogue.read(language)}
    assert there == {message.id for message in catalogue.extracted()}


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated_with_the_same_places(language: str) -> None:
    for message in catalogue.read(language):
        if not message.id:
            continue
        originals = [message.id] if isinstance(message.id, str) else list(message.id)
        given = message.string or ""
        translations = [given] if isinstance(given, str) else list(given)
        assert all(translations), f"{message.id} is not translated"
        places = {place for text in originals for place in PLACE.findall(text)}
        for translation in translations:
            found = set(PLACE.findall(translation))
            # A singular may say "one" instead of a number.
            assert found <= places, message.id
            assert places - found <= {"%(num)s", "%(num)d"}, message.id


def test_everything_that_the_domain_names_has_a_word() -> None:
    assert {*ApprovalStatus, *ExecutionState} <= STATES.keys()
    assert STATES.keys() == TONES.keys()
    assert set(Role) == ROLES.keys()
    assert set(Verdict) == VERDICTS.keys() == MY_VERDICTS.keys()


def test_every_reason_of_the_domain_has_words_to_the_reader() -> None:
    code = four_eyes.__file__
    reasons = set(re.findall(r'"(four eyes: [^"]+)"', Path(code).read_text()))
    assert reasons
    assert {*reasons, "the roles do not allow deciding"} == REASONS.keys()
    assert "the roles do not allow deciding; " in Path(eligibility.__file__).read_text()


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (f"{eligibility.NOT_NAMED}; no groups held", "neither you nor a group of yours"),
        (f"{eligibility.NOT_NAMED}; groups held: a, b", "Your groups: a, b."),
        (
            "this person is asked in stage 3, and stage 2 is not complete yet; groups held: a",
            "You are asked in stage 3, and stage 2 is not complete yet. Your groups: a.",
        ),
        (
            "stage 2 asks other people; this person was asked in an earlier stage; groups held: a",
            "Stage 2 asks other people; you were asked in an earlier one.",
        ),
        (
            "in the place of ann, as their substitute: ann already decided",
            "You stand in for ann, who has decided already.",
        ),
        (
            "in the place of ann, as their substitute: bob already decided in the place of ann",
            "You stand in for ann, and bob has decided in that place already.",
        ),
        (
            "in the place of ann, as their substitute: ann handed the decision to bob",
            "You stand in for ann, who handed the decision to bob.",
        ),
        (
            "in the place of ann, as their substitute: four eyes: ann started the execution",
            "you stand in for ann, who is too close to this request.",
        ),
        (
            "this person handed the decision to zoe; no groups held",
            "You handed the decision to zoe. You are in no group.",
        ),
        (
            "four eyes: this person started the execution; groups held: a",
            "Four eyes: you started this, so somebody else decides. Your groups: a.",
        ),
        ("to names zoe, who may not decide: four eyes: this person", "Four eyes: zoe is too"),
        ("to names zoe, who has already decided", "zoe has decided already."),
        ("to names zoe, from whom the decision came: take it back instead", "came from zoe"),
        ("the decision was passed on 3 times, which is the limit", "passed on 3 times"),
    ],
)
def test_reasons_with_names_in_them_have_words_too(reason: str, said: str) -> None:
    def text(words: str, **given: object) -> str:
        return words % given if given else words

    assert said in reason_text(reason, text)


@pytest.mark.parametrize(
    ("cookie", "accepted", "chosen"),
    [
        (None, None, "en"),
        (None, "de-AT,de;q=0.9,en;q=0.8", "de"),
        (None, "fr, en", "en"),
        (None, "fr", "en"),
        (None, "de;q=0, en", "en"),
        ("de", "en", "de"),
        ("../../etc", "de", "de"),
        (None, "*,;q=,%%%" * 1000, "en"),
    ],
)
def test_the_language_is_the_one_chosen_or_the_first_that_the_browser_asks_for(
    cookie: str | None, accepted: str | None, chosen: str
) -> None:
    assert chosen_language(cookie, accepted) == chosen
