"""Reads JSON from outside, and refuses an object that has a name twice."""

import json
from collections import Counter
from typing import Any

_MAX_SHOWN = 100


class RepeatedNameError(ValueError):
    """An object has a name twice. Readers disagree about which of the two values counts.

    So what people are shown could differ from what is carried out.
    """


def parsed(text: str | bytes, what: str) -> Any:
    """Return what a JSON text says. ``what`` is the subject of the error's message.

    Raises RepeatedNameError for an object with a name twice, and ValueError for what is no JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except _Repeated as repeated:
        msg = f"{what} has an object with the name {repeated} twice; give each name once"
        raise RepeatedNameError(msg) from None
    except (ValueError, RecursionError) as error:
        msg = f"{what} is not JSON: {error}"
        raise ValueError(msg) from error


class _Repeated(Exception):  # noqa: N818 - not an error by itself
    """Carries the name out of the decoder."""


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) < len(members):
        [(repeated, _)] = Counter(name for name, _ in members).most_common(1)
        raise _Repeated(repr(repeated[:_MAX_SHOWN]))
    return value
