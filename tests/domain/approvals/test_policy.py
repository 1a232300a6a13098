"""The rules of a policy: it can be met, somebody has to agree, and it is not too large."""

from typing import Any

import pytest

from domain.approvals.events import (
    ApprovalRequested,
)
from domain.approvals.policy import (
    MAX_NAMED,
    MAX_PEOPLE,
    MAX_REQUIREMENTS,
    ExpiryAction,
    Policy,
    Requirement,
)
from domain.execution.commands import Command
from tests.domain.ask import Ask, needs, policy, request
from tests.domain.facts import started
from tests.domain.scenario import given

MANY = tuple(f"g{i}" for i in range(MAX_NAMED))


def problem(ask: Ask) -> str:
    command: Command = ask(given(started()).state)
    assert command.problem is not None, "the policy breaks no rule"
    return command.problem


def asked(**requirement: Any) -> Ask:
    return request(policy=policy(Requirement(**requirement)))


@pytest.mark.parametrize(
    ("ask", "rule"),
    [
        pytest.param(asked(), "policy.requirements.0 names no group and no user", id="nobody"),
        pytest.param(
            asked(count=0, groups=("g",)),
            "policy.requirements.0.count must be at least 1",
            id="count",
        ),
        pytest.param(
            request(policy=policy(needs("a"), needs("b", count=-1))),
            "policy.requirements.1.count must be at least 1",
            id="count of the second",
        ),
        pytest.param(
            request(policy=policy(rejections=0)),
            "policy.rejections must be at least 1",
            id="rejections",
        ),
        pytest.param(
            request(policy=policy(*[needs("g")] * (MAX_REQUIREMENTS + 1))),
            "policy.requirements has more than 20 entries",
            id="requirements",
        ),
        pytest.param(
            asked(groups=(*MANY, "x")),
            "policy.requirements.0.groups has more than 100 entries",
            id="groups",
        ),
        pytest.param(
            asked(users=(*MANY, "x")),
            "policy.requirements.0.users has more than 100 entries",
            id="users",
        ),
        pytest.param(
            request(policy=policy(needs("a", count=101), needs("b", count=100))),
            "policy.requirements ask for more than 200 people",
            id="people",
        ),
        pytest.param(
            request(policy=policy(on_expiry=ExpiryAction.GRANT)),
            "policy.onExpiry needs a deadline",
            id="expiry",
        ),
        pytest.param(
            request(policy=policy(escalate_to=("x",))),
            "policy.escalateTo is used only if",
            id="escalation",
        ),
    ],
)
def test_a_policy_can_be_met(ask: Ask, rule: str) -> None:
    assert problem(ask).startswith(rule)


def test_a_policy_has_at_least_one_requirement() -> None:
    nobody = Policy(requirements=())

    assert problem(request(policy=nobody)).startswith("policy.requirements must not be empty")


@pytest.mark.parametrize(
    "ask",
    [
        request(policy=policy(*[needs("g", count=10)] * MAX_REQUIREMENTS)),
        request(policy=policy(needs(*MANY, users=MANY, count=MAX_PEOPLE))),
    ],
)
def test_the_largest_policies_are_taken(ask: Ask) -> None:
    given(started()).when(ask).then(ApprovalRequested)
