"""The sdk has the service's rules, and knows what to raise for each of its codes."""

from pathlib import Path

import pytest

from placet import errors
from placet.models.enums import ErrorCode, RefusalCode
from tests.sdk.models.generate import COMMAND, files

# Refusals that a caller can do nothing about but wait or look: a plain Refused.
WITHOUT_A_CLASS = {
    RefusalCode.FORBIDDEN,
    RefusalCode.SKIPPED,
    RefusalCode.OVERLOADED,
    RefusalCode.OUTCOME_UNKNOWN,
    RefusalCode.INTERNAL,
}


@pytest.mark.parametrize(("path", "text"), files().items(), ids=lambda given: Path(given).stem)
def test_what_is_generated_is_the_server_s(path: Path, text: str) -> None:
    assert path.read_text() == text, f"{path} is stale; run: {COMMAND}"


def test_every_refusal_has_an_exception_or_is_known_to_have_none() -> None:
    assert errors.REFUSALS.keys() | WITHOUT_A_CLASS == set(RefusalCode)


def test_every_error_of_a_request_has_an_exception() -> None:
    assert errors.REQUEST_ERRORS.keys() == set(ErrorCode)
