"""Writes the service's rules into the sdk: ``python -m tests.sdk.models.generate``.

The sdk shares no code with the server, so it has copies: enumerations, limits, and what each event
does. They are made here from the server's own, and ``test_generated.py`` fails while one is stale.
"""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from api.errors import ErrorCode
from api.graphql.query_limits import MAX_PAGE
from api.graphql.websocket import MAX_OPERATIONS, PROTOCOL
from api.schema.limits import (
    DEFAULT_LEASE,
    MAX_CLAIMS,
    MAX_COMMANDS,
    MAX_DECISIONS,
    MAX_HOLDING,
    MAX_WAIT,
    MIN_LEASE,
)
from api.settings import Settings
from application.process_managers.log_process_manager import AGAIN
from domain.approvals.places import MAX_CHAIN
from domain.approvals.policy import (
    MAX_NAMED,
    MAX_PEOPLE,
    MAX_REMINDERS,
    MAX_REQUIREMENTS,
    ExpiryAction,
)
from domain.approvals.state import ApprovalStatus, ResolutionCause, Verdict
from domain.execution.events import EVENT_TYPES
from domain.execution.evolve import evolve
from domain.execution.state import Execution
from domain.execution.transitions import TRANSITIONS
from domain.refusals import RefusalCode
from domain.serialization.canonical_json import MAX_DEPTH, MAX_SAFE_INTEGER, text_flaw
from domain.standing_grants.commands import MAX_LIFETIME, MAX_USES
from domain.standing_grants.state import StandingGrantStatus
from domain.validation import (
    MAX_ATTEMPT,
    MAX_DELAY,
    MAX_JSON_BYTES,
    MAX_LABEL_VALUE,
    MAX_LABELS,
    MAX_NAME,
    MAX_TEXT,
    MAX_TITLE,
)
from domain.values import FINAL_STATES, ExecutionState, ParentEnd, Role
from projections.approvals.query import ApprovalOrder
from projections.executions.query import ExecutionOrder
from tests.domain import facts
from tests.domain.facts import Fact
from tests.domain.recording import recorded

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "sdk" / "src" / "placet" / "models"
COMMAND = "python -m tests.sdk.models.generate"
NOTE = f"Generated from the server by `{COMMAND}`. Do not edit."

ENUMERATIONS: tuple[type[StrEnum], ...] = (
    ExecutionState,
    ApprovalStatus,
    ResolutionCause,
    Verdict,
    StandingGrantStatus,
    ExpiryAction,
    ParentEnd,
    Role,
    ExecutionOrder,
    ApprovalOrder,
    RefusalCode,
    ErrorCode,
)

LIMITS: tuple[tuple[str, int | str | timedelta, str], ...] = (
    ("MAX_NAME", MAX_NAME, "Characters of a key or name, which are all printable."),
    ("MAX_TITLE", MAX_TITLE, "Characters of an approval's title."),
    ("MAX_TEXT", MAX_TEXT, "Characters of any other text: a description, comment, reason, error."),
    ("MAX_JSON_BYTES", MAX_JSON_BYTES, "Bytes of one JSON value, encoded without spaces."),
    ("MAX_DEPTH", MAX_DEPTH, "Levels of one JSON value."),
    ("MAX_SAFE_INTEGER", MAX_SAFE_INTEGER, "The largest whole number of JSON, without its sign."),
    ("MAX_LABELS", MAX_LABELS, "Labels of one execution."),
    ("MAX_LABEL_VALUE", MAX_LABEL_VALUE, "Characters of the value of a label."),
    ("MAX_ATTEMPT", MAX_ATTEMPT, "The number of the last attempt of a step."),
    ("MAX_DELAY", MAX_DELAY, "The longest delay of a timer."),
    ("MAX_REQUIREMENTS", MAX_REQUIREMENTS, "Requirements of one policy."),
    ("MAX_PEOPLE", MAX_PEOPLE, "People whom all requirements of a policy ask for together."),
    ("MAX_NAMED", MAX_NAMED, "Groups or users that one requirement names."),
    ("MAX_REMINDERS", MAX_REMINDERS, "Reminders before one deadline."),
    ("MAX_CHAIN", MAX_CHAIN, "How often the right to decide one approval is passed on."),
    ("MAX_USES", MAX_USES, "Uses of one standing grant."),
    ("MAX_LIFETIME", MAX_LIFETIME, "The longest time for which a standing grant can be used."),
    ("MAX_PAGE", MAX_PAGE, "Items of one page."),
    ("MAX_COMMANDS", MAX_COMMANDS, "Commands of one `submit`."),
    ("MAX_DECISIONS", MAX_DECISIONS, "Decisions of one `grantApprovals` or `rejectApprovals`."),
    ("MAX_CLAIMS", MAX_CLAIMS, "Executions that one `claimExecutions` gives."),
    ("MAX_HOLDING", MAX_HOLDING, "Executions that a poll may name as held."),
    ("MAX_WAIT", MAX_WAIT, "The longest time for which an answer is put off."),
    ("MIN_LEASE", MIN_LEASE, "The shortest lease of a worker."),
    ("DEFAULT_LEASE", DEFAULT_LEASE, "The lease of a worker that asks for none."),
    (
        "MAX_BODY_BYTES",
        Settings.model_fields["max_body_bytes"].default,
        "Bytes of a request's body, unless the server is configured otherwise.",
    ),
    ("MAX_OPERATIONS", MAX_OPERATIONS, "Operations that are open at once on one WebSocket."),
    ("PROTOCOL", PROTOCOL, "The subprotocol of WebSockets."),
)

# Together these have every event, and each approval in them ends in another way.
_ASKED = (facts.started(), facts.claimed(), facts.requested())
HISTORIES: tuple[tuple[Fact, ...], ...] = (
    (*_ASKED, facts.granted(), facts.resumed(), facts.redeemed(), facts.completed()),
    (*_ASKED, facts.rejected()),
    (*_ASKED, facts.changes_requested()),
    (*_ASKED, facts.granted(), facts.resumed(), facts.revoked()),
    (*_ASKED, facts.claimed_approval(), facts.unclaimed_approval(), facts.commented()),
    (*_ASKED, facts.granted(resolves=False), facts.retracted()),
    (*_ASKED, facts.amended(), facts.granted()),
    (*_ASKED, facts.expired()),
    (*_ASKED, facts.withdrawn(), facts.resumed(), facts.step_failed(), facts.step_completed()),
    (
        *_ASKED,
        facts.delegated("bob"),
        facts.taken_back(),
        facts.escalated("legal"),
        facts.reminded(),
        facts.cancelled(),
    ),
    (facts.started(), facts.timer_set(), facts.timer_fired(), facts.failed(), facts.retried()),
    (facts.started(), facts.timer_set(), facts.timer_cancelled(), facts.suspended()),
    (facts.started(), facts.child_started(), facts.child_ended(), facts.signalled()),
    (facts.started(), facts.parked(), facts.unparked()),
    (facts.started(), facts.clean_up_declared(), facts.cancellation_requested()),
)


def files() -> dict[Path, str]:
    """Give the text of each file that is generated."""
    return {
        MODELS / "enums.py": _formatted("enums.py", _enumerations()),
        MODELS / "rules.py": _formatted("rules.py", _rules()),
    }


def _enumerations() -> Iterable[str]:
    yield f'"""The enumerations of the contract, as strings.\n\n{NOTE}\n"""'
    yield "from enum import StrEnum"
    for enumeration in ENUMERATIONS:
        summary = (enumeration.__doc__ or "").partition("\n\n")[0]
        yield f'class {enumeration.__name__}(StrEnum):\n    """{summary}"""\n'
        yield "\n".join(f"    {member.name} = {_shown(member.value)}" for member in enumeration)
        if enumeration is ExecutionState:
            yield "    @property\n    def final(self) -> bool:"
            yield f'        """{ExecutionState.final.__doc__}"""'
            yield "        return self in FINAL_STATES"
    finals = ", ".join(_member(state) for state in ExecutionState if state in FINAL_STATES)
    yield f"FINAL_STATES = frozenset({{{finals}}})"


def _rules() -> Iterable[str]:
    yield f'"""What the service takes, and what its events do.\n\n{NOTE}\n"""'
    yield "from datetime import timedelta\n"
    yield "from placet.models.enums import ApprovalStatus, ExecutionState, RefusalCode"
    for name, value, meaning in LIMITS:
        yield f'{name} = {_shown(value)}\n"""{meaning}"""\n'
    yield "NO_CHARACTERS: tuple[tuple[int, int], ...] = ("
    for first, last in _no_characters():
        yield f"    (0x{first:04X}, 0x{last:04X}),"
    yield ')\n"""Code points that no text may hold: the first and the last of each range."""\n'
    yield "TRANSITIONS: dict[str, dict[ExecutionState | None, ExecutionState]] = {"
    for event in EVENT_TYPES:
        moves = ", ".join(
            f"{_member(source)}: {_member(target)}"
            for (source, moved), target in TRANSITIONS.items()
            if moved is event
        )
        yield f"    {_shown(event.__name__)}: {{{moves}}},"
    yield '}\n"""For each event: from a state (None: not started) to the state after it."""\n'
    resolved_by, waking = _observed()
    yield "RESOLVED_BY = {"
    for status, name in resolved_by.items():
        yield f"    {_member(status)}: {_shown(name)},"
    yield '}\n"""The event that gives an approval this status."""\n'
    yield f"WAKING = frozenset({{{_listed(waking)}}})"
    yield '"""Events that give a waiting worker something to do."""\n'
    again = ", ".join(_member(code) for code in RefusalCode if code in AGAIN)
    yield f"RETRIABLE_REFUSALS = frozenset({{{again}}})"
    yield '"""Refusals after which the same command may be accepted a little later."""\n'


def _no_characters() -> Iterable[tuple[int, int]]:
    """Give the ranges of code points that the service refuses in every text."""
    refused = [code for code in range(sys.maxunicode + 1) if text_flaw(chr(code), "text")]
    first = refused[0]
    for code, following in zip(refused, [*refused[1:], -1], strict=True):
        if following != code + 1:
            yield first, code
            first = following


def _observed() -> tuple[Mapping[ApprovalStatus, str], list[str]]:
    """Fold the histories; give which event resolves an approval how, and which events wake."""
    resolved_by: dict[ApprovalStatus, str] = {}
    waking: set[str] = set()
    seen: set[str] = set()
    for history in HISTORIES:
        state: Execution | None = None
        for fact in history:
            actor, event = fact(state)
            before, state = state, evolve(state, recorded(state, actor, event))
            name = type(event).__name__
            seen.add(name)
            if before is not None and before.approvals:
                was, now = before.approvals[1].status, state.approvals[1].status
                if now is not was:
                    resolved_by[now] = name
            if state.woken_version == state.version:
                waking.add(name)
    missing = [each.__name__ for each in EVENT_TYPES if each.__name__ not in seen]
    assert not missing, f"add a history with {', '.join(missing)} to HISTORIES"
    return (
        {status: resolved_by[status] for status in ApprovalStatus if status in resolved_by},
        [each.__name__ for each in EVENT_TYPES if each.__name__ in waking],
    )


def _member(member: StrEnum | None) -> str:
    return "None" if member is None else f"{type(member).__name__}.{member.name}"


def _listed(values: Iterable[str]) -> str:
    return ", ".join(map(_shown, values))


def _shown(value: Any) -> str:
    if isinstance(value, timedelta):
        return f"timedelta(seconds={value.total_seconds():g})"
    return f"{value:_}" if isinstance(value, int) else f'"{value}"'


def _formatted(name: str, lines: Iterable[str]) -> str:
    return subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(MODELS / name), "-"],
        input="\n".join(lines),
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
