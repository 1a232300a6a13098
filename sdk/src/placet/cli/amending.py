"""The option ``--amend`` of ``approve``: reads a payload, and shows how it differs."""

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from placet._util.canonical_json import digest
from placet._util.json_text import parsed
from placet.cli.terminal import who
from placet.models.enums import Verdict
from placet.models.responses import Approval

OPTION = "--amend"


def payload_of(text: str) -> Any:
    """Return the payload that the option gives: JSON, or ``@`` and the name of a file of JSON.

    Raises BadParameter for what is neither.
    """
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(str(error), param_hint=OPTION) from error
    try:
        payload = parsed(text, "the payload")
        digest(payload)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=OPTION) from error
    if payload is None:
        raise typer.BadParameter("null says nothing that could be done", param_hint=OPTION)
    return payload


def change_lines(approval: Approval, payload: Any) -> Iterator[str]:
    """Yield how the payload differs from what is asked.

    Raises BadParameter for a payload that is what is asked, and for a policy that allows no other.
    """
    if not approval.policy.amendable:
        said = "the policy does not allow another payload; reject it, or request changes"
        raise typer.BadParameter(said, param_hint=OPTION)
    asked = approval.document["payload"] if approval.document else approval.payload
    if digest(asked) == digest(payload):
        raise typer.BadParameter("this is the payload that is asked for", param_hint=OPTION)
    yield ""
    yield "You change the payload:"
    yield from (f"  {line}" for line in _changed_lines(asked, payload))
    grants = [d for d in approval.decisions if d.counts and d.verdict is Verdict.GRANTED]
    if grants:
        people = ", ".join(who(each.by.name, each.by.id) for each in grants)
        yield f"Then these grants no longer count: {people}"


def _changed_lines(before: Any, after: Any) -> Iterator[str]:
    """Yield what is removed and added, line by line, with the lines around it."""
    # The first two lines name files.
    yield from list(difflib.unified_diff(_lines(before), _lines(after), lineterm=""))[2:]


def _lines(payload: Any) -> list[str]:
    return json.dumps(payload, indent=2, ensure_ascii=False, sort_keys=True).split("\n")
