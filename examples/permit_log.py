"""The permit log: the cases of the file, and the result expected of each case.

This module does not use Placet, so that the expected results are independent of it.
"""

import gzip
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET

NOT_ROLES = {"EMPLOYEE", "MISSING"}
ROLES = ("ADMINISTRATION", "BUDGET OWNER", "DIRECTOR", "PRE_APPROVER", "SUPERVISOR")
FALLBACK = "SUPERVISOR"

_ACT = re.compile(
    r"(Permit|Declaration|Request For Payment) "
    r"(SUBMITTED|APPROVED|FINAL_APPROVED|REJECTED) by (.+)"
)
_TAG = re.compile(r"{.*}")

Verdict = Literal["GRANTED", "REJECTED"]


class PermitLogError(Exception):
    """The file does not exist or is not the permit log."""


@dataclass(frozen=True)
class Case:
    """One trace of the log: its name and the names of its events, in order."""

    name: str
    events: tuple[str, ...]


@dataclass(frozen=True)
class StepAction:
    """The engine does a step."""

    key: str
    name: str


@dataclass(frozen=True)
class AskAction:
    """A document is submitted: its pending approval is withdrawn, and a new one is requested."""

    document: str
    key: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class DecideAction:
    """One role grants or rejects a document's latest approval."""

    document: str
    role: str
    verdict: Verdict


@dataclass(frozen=True)
class WithdrawAction:
    """A document is taken back: its pending approval, if there is one, is withdrawn."""

    document: str


Action = StepAction | AskAction | DecideAction | WithdrawAction


@dataclass
class ExpectedApproval:
    """The expected state of an approval."""

    key: str
    roles: tuple[str, ...]
    status: str = "PENDING"
    decisions: list[tuple[str, Verdict]] = field(default_factory=list)


@dataclass
class Expected:
    """The expected result of a case. ``answers`` are the answers to its decisions, in order."""

    steps: list[StepAction] = field(default_factory=list)
    approvals: list[ExpectedApproval] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    events: int = 1
    state: str = "RUNNING"


def find() -> Path | None:
    """Find the permit log: at the path in PERMITS, or beside the project."""
    named = os.environ.get("PERMITS")
    if named:
        return Path(named)
    beside = Path(__file__).parents[2] / "shared" / "data" / "travel-permits.xes.gz"
    return beside if beside.exists() else None


def read(path: Path) -> Iterator[Case]:
    """Read the cases of an XES file (IEEE 1849), gzipped. Raises PermitLogError."""
    if not path.exists():
        raise PermitLogError(f"there is no permit log at {path}; give the path of the .xes.gz file")
    try:
        with gzip.open(path) as file:
            for _, element in ET.iterparse(file):  # noqa: S314 - a file of the user's own choice
                if _TAG.sub("", element.tag) == "trace":
                    yield Case(
                        _name(element), tuple(_name(e) for e in element if e.tag.endswith("event"))
                    )
                    element.clear()
    except (OSError, ET.ParseError) as error:
        raise PermitLogError(f"{path} is no gzipped XES file: {error}") from error


def actions(case: Case) -> list[Action]:
    """Return the actions of a case, in order."""
    done: list[Action] = []
    numbers: Counter[str] = Counter()
    for i, name in enumerate(case.events):
        match = _ACT.fullmatch(name)
        if match is None:
            numbers[name] += 1
            done.append(StepAction(f"{name}-{numbers[name]}", name))
            continue
        document, act, role = match.groups()
        if act == "SUBMITTED":
            numbers[document] += 1
            roles = _deciders(document, case.events[i + 1 :])
            done.append(AskAction(document, f"{document}-{numbers[document]}", roles))
        elif role in NOT_ROLES:
            done.append(WithdrawAction(document))
        elif numbers[document]:
            verdict: Verdict = "REJECTED" if act == "REJECTED" else "GRANTED"
            done.append(DecideAction(document, role, verdict))
    return done


def expected(case: Case) -> Expected:
    """Return the expected result of a case."""
    outcome = Expected()
    latest: dict[str, ExpectedApproval] = {}
    for action in actions(case):
        match action:
            case StepAction():
                outcome.steps.append(action)
                outcome.events += 1
            case AskAction(document=document, key=key, roles=roles):
                _withdraw(outcome, latest.get(document))
                latest[document] = ExpectedApproval(key, roles)
                outcome.approvals.append(latest[document])
                outcome.events += 1
            case WithdrawAction(document=document):
                _withdraw(outcome, latest.get(document))
            case DecideAction(document=document, role=role, verdict=verdict):
                outcome.answers.append(_decide(outcome, latest[document], role, verdict))
    if any(approval.status == "PENDING" for approval in outcome.approvals):
        outcome.state = "WAITING_APPROVAL"
    else:
        outcome.state = "COMPLETED"
        outcome.events += 1
    return outcome


def _name(element: ET.Element) -> str:
    for child in element:
        if child.get("key") == "concept:name":
            return child.get("value", "")
    raise PermitLogError("a case or event of the log has no name")


def _deciders(document: str, later: tuple[str, ...]) -> tuple[str, ...]:
    roles: list[str] = []
    for name in later:
        match = _ACT.fullmatch(name)
        if match is None or match[1] != document:
            continue
        if match[2] == "SUBMITTED":
            break
        if match[3] not in NOT_ROLES and match[3] not in roles:
            roles.append(match[3])
    return tuple(roles) or (FALLBACK,)


def _resolve(outcome: Expected, approval: ExpectedApproval, status: str) -> None:
    approval.status = status
    if not any(other.status == "PENDING" for other in outcome.approvals):
        outcome.events += 1


def _withdraw(outcome: Expected, approval: ExpectedApproval | None) -> None:
    if approval is not None and approval.status == "PENDING":
        outcome.events += 1
        _resolve(outcome, approval, "WITHDRAWN")


def _decide(outcome: Expected, approval: ExpectedApproval, role: str, verdict: Verdict) -> str:
    earlier = dict(approval.decisions).get(role)
    if earlier == verdict:
        return "repeated"
    if earlier is not None or approval.status != "PENDING":
        return "ALREADY_DECIDED"
    approval.decisions.append((role, verdict))
    outcome.events += 1
    if verdict == "REJECTED":
        _resolve(outcome, approval, "REJECTED")
    elif {r for r, v in approval.decisions if v == "GRANTED"} >= set(approval.roles):
        _resolve(outcome, approval, "GRANTED")
    return "accepted"
