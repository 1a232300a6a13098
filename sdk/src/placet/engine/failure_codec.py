"""Failures as text to record, and the recorded text as the same exception, live and in a replay.

The text of a failure is for people. What a step raised has JSON as its last line: what kind of
failure it is, and the type, message, file and line of each exception of the chain. So no name or
message that user code chooses can be taken for a failure of another kind. A text without that line
is the engine's own, or was recorded by an earlier version or another worker; its first words say
what it is.
"""

import re
from collections.abc import Iterator
from types import TracebackType
from typing import Literal

import msgspec
from msgspec.structs import replace

from placet._util.invoke import described, message_of
from placet._util.texts import cleaned
from placet.errors import (
    REFUSALS,
    REQUEST_ERRORS,
    Doubt,
    PlacetError,
    RecordedError,
    Refused,
    RequestError,
    Revoked,
    StepFailed,
)
from placet.models.enums import ApprovalStatus
from placet.models.responses import ApprovalRecord
from placet.models.rules import MAX_TEXT

Kind = Literal["error", "again", "final", "refused", "doubt"]
"""``again``: another attempt follows. ``error``: it is not recorded whether one does."""

_REFUSED = re.compile(r"Refused: (?P<code>[A-Z_]+): (?P<message>.*)", re.DOTALL)
_DOUBT = "Doubt: "
_REVOKED = "REVOKED"
"""What is recorded instead of the code, which is that of many refusals."""

_MAX_PART = 300
"""Characters of each type, message and file in the last line."""
_MAX_LINE = 3_000
"""Characters of the last line."""


class _Link(msgspec.Struct, frozen=True, omit_defaults=True):
    """One exception of a chain."""

    type: str
    message: str = ""
    file: str = ""
    line: int = 0


class _Details(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The last line. ``chain`` begins with the exception that was raised."""

    placet: Kind
    chain: tuple[_Link, ...] = ()


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Details).decode


def error_text(error: BaseException, *, final: bool) -> str:
    """Return the text to record for an exception. ``final``: no other attempt follows."""
    return _text(described(error), "final" if final else "again", _chain(error))


def unrecordable_text(error: BaseException) -> str:
    """Return the text to record for work that was done, and whose result can't be recorded."""
    said = f"{described(error)}; the work was done, so it is not tried again"
    return _text(said, "final", _chain(error))


def refused_text(what: str, error: Refused | RequestError) -> str:
    """Return the text to record for a request that the service refused."""
    message = error.message if isinstance(error, Refused) else str(error)
    return _text(f"Refused: {error.code}: {what}: {message}", "refused")


def revoked_text(what: str, error: Refused) -> str:
    """Return the text to record for a step whose grant was revoked before it was used."""
    return _text(f"Refused: {_REVOKED}: {what}: {error.message}", "refused")


def doubt_text(message: str, earlier: str | None = None) -> str:
    """Return the text to record for work that may or may not have been done.

    ``earlier`` is the recorded text of the failure before it, if there is one.
    """
    chain = () if earlier is None else _parsed(earlier)[1].chain
    return _text(f"{_DOUBT}{message}", "doubt", chain)


def is_final(text: str) -> bool:
    """Whether another attempt would be useless."""
    return _parsed(text)[1].placet not in {"error", "again"}


def tried_again(text: str) -> bool:
    """Whether it is recorded that another attempt follows."""
    return _parsed(text)[1].placet == "again"


def is_doubt(text: str) -> bool:
    """Whether it is not known if the work was done."""
    return _parsed(text)[1].placet == "doubt"


def readable(text: str) -> str:
    """Return the part of a recorded text that is for people."""
    return _parsed(text)[0]


def failure(key: str, text: str, approval: ApprovalRecord | None = None) -> PlacetError:
    """Return the exception for the recorded text of a failure.

    ``approval``: the one whose grant the step was to use.
    """
    said, details = _parsed(text)
    error = _failure(key, said, details.placet, approval)
    error.__cause__ = _recorded(details.chain)
    return error


def _failure(key: str, said: str, kind: Kind, approval: ApprovalRecord | None) -> PlacetError:
    if kind == "doubt":
        return Doubt(said.removeprefix(_DOUBT))
    refused = _REFUSED.match(said) if kind == "refused" else None
    if refused is None:
        return StepFailed(key, said)
    code, message = refused["code"], refused["message"]
    if code == _REVOKED and approval is not None:
        return Revoked(replace(approval, status=ApprovalStatus.REVOKED))
    if code in REQUEST_ERRORS and code not in REFUSALS:
        return REQUEST_ERRORS[code](message)
    return REFUSALS.get(code, Refused)(code, message)


def _parsed(text: str) -> tuple[str, _Details]:
    said, found, line = text.rpartition("\n")
    if found and line.startswith('{"placet":'):
        try:
            return said, _decode(line)
        except msgspec.MsgspecError:
            pass
    if text.startswith(_DOUBT):
        return text, _Details("doubt")
    return text, _Details("error" if _REFUSED.match(text) is None else "refused")


def _text(said: str, kind: Kind, chain: tuple[_Link, ...] = ()) -> str:
    if kind in {"refused", "doubt"} and not chain:
        return cleaned(said)
    while len(line := _encode(_Details(kind, chain)).decode()) > _MAX_LINE:
        chain = chain[:-1]
    said = cleaned(said, MAX_TEXT - len(line) - 1)
    return f"{said}\n{line}"


def _chain(error: BaseException) -> tuple[_Link, ...]:
    return tuple(
        _Link(
            type=_part(_name(type(each))),
            message=_part(message_of(each)),
            # The end of a path says more than its beginning.
            file=cleaned(file[-_MAX_PART:]),
            line=line,
        )
        for each in _causes(error)
        for file, line in [_place(each.__traceback__)]
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        yield following
        seen.add(id(following))
        cause = following.__cause__
        if cause is None and not following.__suppress_context__:
            cause = following.__context__
        following = cause


def _place(traceback: TracebackType | None) -> tuple[str, int]:
    """Return the file and the line in which an exception was raised."""
    if traceback is None:
        return "", 0
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_filename, traceback.tb_lineno or 0


def _name(kind: type) -> str:
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else (f"{kind.__module__}.{kind.__qualname__}")
    )


def _part(text: str) -> str:
    return cleaned(text, _MAX_PART)


def _recorded(chain: tuple[_Link, ...]) -> RecordedError | None:
    error: RecordedError | None = None
    for link in reversed(chain):
        cause = error
        error = RecordedError(link.type, link.message, link.file or None, link.line or None)
        error.__cause__ = cause
    return error
