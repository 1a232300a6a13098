"""If several refusals apply, the first one in a fixed order is returned."""

import pytest

from domain.refusals import RefusalCode
from domain.values import Role
from tests.domain.ask import (
    Ask,
    cancel,
    complete,
    grant,
    needs,
    policy,
    redeem,
    reject,
    request,
    retry,
    start,
    step,
    withdraw,
)
from tests.domain.facts import (
    Fact,
    cancelled,
    claimed,
    completed,
    failed,
    granted,
    redeemed,
    requested,
    resumed,
    retried,
    started,
    step_completed,
    step_failed,
)
from tests.domain.people import approver, principal
from tests.domain.scenario import given

EVA = principal("eva", Role.OPERATOR, Role.APPROVER, groups=("finance",))
STRANGER = approver("stranger", "gardeners")
WRONG = "sha256:other"


@pytest.mark.parametrize(
    ("facts", "ask", "told"),
    [
        pytest.param((), step(by="ann"), RefusalCode.FORBIDDEN, id="FORBIDDEN, NOT_FOUND"),
        pytest.param(
            (started(),), step("", by="ann"), RefusalCode.FORBIDDEN, id="FORBIDDEN, INVALID_INPUT"
        ),
        pytest.param(
            (started(key="k"),),
            start("ann", key="k", workflow=""),
            RefusalCode.FORBIDDEN,
            id="FORBIDDEN, INVALID_INPUT of a start",
        ),
        pytest.param(
            (started(), claimed()),
            step(by="olivia", fence=9),
            RefusalCode.FORBIDDEN,
            id="FORBIDDEN, FENCED",
        ),
        pytest.param(
            (), step("", by="engine"), RefusalCode.NOT_FOUND, id="NOT_FOUND, INVALID_INPUT"
        ),
        pytest.param(
            (started(), requested()),
            grant(by=STRANGER, digest=""),
            RefusalCode.NOT_FOUND,
            id="NOT_FOUND for the eye, INVALID_INPUT",
        ),
        pytest.param(
            (started(), requested(), granted(), resumed()),
            grant(by=STRANGER),
            RefusalCode.NOT_FOUND,
            id="NOT_FOUND for the eye, ALREADY_DECIDED",
        ),
        pytest.param(
            (started(), claimed()),
            withdraw(7, fence=9),
            RefusalCode.NOT_FOUND,
            id="NOT_FOUND, FENCED",
        ),
        pytest.param(
            (started(), claimed()),
            step("", fence=9),
            RefusalCode.INVALID_INPUT,
            id="INVALID_INPUT, FENCED",
        ),
        pytest.param(
            (started(key="k"),),
            start(key="k", workflow=""),
            RefusalCode.INVALID_INPUT,
            id="INVALID_INPUT, KEY_REUSED",
        ),
        pytest.param(
            (started(), cancelled()),
            cancel(reason=" "),
            RefusalCode.INVALID_INPUT,
            id="INVALID_INPUT, repeat",
        ),
        pytest.param(
            (started(), requested(), granted(), resumed()),
            reject(by="bob", comment=""),
            RefusalCode.INVALID_INPUT,
            id="INVALID_INPUT, ALREADY_DECIDED",
        ),
        pytest.param(
            (started(by=EVA), requested()),
            grant(by=EVA, digest=""),
            RefusalCode.INVALID_INPUT,
            id="INVALID_INPUT, NOT_ELIGIBLE",
        ),
        pytest.param(
            (started(), claimed(), step_completed("book")),
            step("book", fence=9),
            RefusalCode.FENCED,
            id="FENCED, repeat",
        ),
        pytest.param(
            (started(), claimed(), step_failed("book")),
            step("book", error="other", fence=9),
            RefusalCode.FENCED,
            id="FENCED, KEY_REUSED",
        ),
        pytest.param(
            (started(), claimed(), requested(), granted(), resumed()),
            withdraw(fence=9),
            RefusalCode.FENCED,
            id="FENCED, ALREADY_DECIDED",
        ),
        pytest.param(
            (started(), claimed(), requested(), granted(), resumed(), redeemed()),
            redeem(key="second", fence=9),
            RefusalCode.FENCED,
            id="FENCED, ALREADY_REDEEMED",
        ),
        pytest.param(
            (started(), claimed(), cancelled()),
            complete(fence=9),
            RefusalCode.FENCED,
            id="FENCED, INVALID_TRANSITION",
        ),
        pytest.param(
            (started(), requested(), granted(), resumed(), redeemed(), completed()),
            redeem(digest=WRONG),
            RefusalCode.KEY_REUSED,
            id="KEY_REUSED, INVALID_TRANSITION, DIGEST_MISMATCH",
        ),
        pytest.param(
            (started(), step_completed("book"), completed()),
            step("book", name="other"),
            RefusalCode.KEY_REUSED,
            id="KEY_REUSED, INVALID_TRANSITION of a step",
        ),
        pytest.param(
            (started(), requested(), granted(), resumed(), completed()),
            request(title="Other"),
            RefusalCode.KEY_REUSED,
            id="KEY_REUSED, INVALID_TRANSITION of a request",
        ),
        pytest.param(
            (started(), requested(), granted(), resumed()),
            grant(by="bob"),
            RefusalCode.ALREADY_DECIDED,
            id="ALREADY_DECIDED, INVALID_TRANSITION",
        ),
        pytest.param(
            (started(by=EVA), requested(), granted(), resumed()),
            grant(by=EVA),
            RefusalCode.ALREADY_DECIDED,
            id="ALREADY_DECIDED, NOT_ELIGIBLE",
        ),
        pytest.param(
            (started(), requested(), granted(), resumed()),
            grant(by="bob", digest=WRONG),
            RefusalCode.ALREADY_DECIDED,
            id="ALREADY_DECIDED, DIGEST_MISMATCH",
        ),
        pytest.param(
            (
                started(),
                requested(policy=policy(needs("finance", count=2))),
                granted(resolves=False),
            ),
            reject(by="ann", digest=WRONG),
            RefusalCode.ALREADY_DECIDED,
            id="ALREADY_DECIDED by the same person, DIGEST_MISMATCH",
        ),
        pytest.param(
            (started(), requested(), granted(), resumed(), redeemed(), completed()),
            redeem(key="second"),
            RefusalCode.ALREADY_REDEEMED,
            id="ALREADY_REDEEMED, INVALID_TRANSITION",
        ),
        pytest.param(
            (started(), requested(), granted(), resumed(), redeemed()),
            redeem(key="second", digest=WRONG),
            RefusalCode.ALREADY_REDEEMED,
            id="ALREADY_REDEEMED, DIGEST_MISMATCH",
        ),
        pytest.param(
            (started(), completed()),
            retry(expected_version=1),
            RefusalCode.VERSION_CONFLICT,
            id="VERSION_CONFLICT, INVALID_TRANSITION",
        ),
        pytest.param(
            (started(), requested()),
            redeem(digest=WRONG),
            RefusalCode.INVALID_TRANSITION,
            id="INVALID_TRANSITION, DIGEST_MISMATCH",
        ),
        pytest.param(
            (started(by=EVA), requested()),
            grant(by=EVA, digest=WRONG),
            RefusalCode.NOT_ELIGIBLE,
            id="NOT_ELIGIBLE, DIGEST_MISMATCH",
        ),
        pytest.param(
            (started(), requested()),
            grant(digest=WRONG, amended_payload=1),
            RefusalCode.DIGEST_MISMATCH,
            id="DIGEST_MISMATCH, INVALID_INPUT of an amendment",
        ),
        pytest.param(
            (started(), requested(), granted(by="ann"), resumed()),
            grant(by="ann", amended_payload=1),
            RefusalCode.ALREADY_DECIDED,
            id="ALREADY_DECIDED, INVALID_INPUT of an amendment",
        ),
    ],
)
def test_the_first_applicable_refusal_is_returned(
    facts: tuple[Fact, ...], ask: Ask, told: RefusalCode
) -> None:
    given(*facts).when(ask).then_refused(told)


@pytest.mark.parametrize(
    ("facts", "ask"),
    [
        pytest.param(
            (started(), step_completed("book"), completed()),
            step("book"),
            id="INVALID_TRANSITION",
        ),
        pytest.param(
            (started(), failed(), retried(), completed()),
            retry(expected_version=2),
            id="VERSION_CONFLICT, INVALID_TRANSITION",
        ),
        pytest.param(
            (started(), requested(), granted(by="ann"), resumed(), completed()),
            grant(by="ann"),
            id="ALREADY_DECIDED, INVALID_TRANSITION",
        ),
        pytest.param(
            (started(), requested(), granted(by="ann"), resumed()),
            grant(by=approver("ann", "gardeners")),
            id="NOT_ELIGIBLE",
        ),
    ],
)
def test_a_repeat_goes_before(facts: tuple[Fact, ...], ask: Ask) -> None:
    given(*facts).when(ask).then_repeated()
