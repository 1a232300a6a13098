"""Forms: what those who grant an approval have to answer, as a JSON Schema."""

from functools import lru_cache
from typing import Any

import msgspec

from domain import json_schemas
from domain.mismatches import mismatch
from domain.serialization.canonical_json import canonical
from domain.validation import Problem

_CACHED = 64


def check_form(form: Any) -> Problem:
    """Return why this is no form, as a sentence that begins with its place, or None."""
    if not isinstance(form, dict):
        return "form must be an object with a JSON Schema"
    return json_schemas.problem(form, "form")


def check_answers(form: Any, answers: Any) -> Problem:
    """Return what is wrong with I-JSON answers to a form, with the place of each, or None."""
    return mismatch(form, answers, "answers")


def canonical_form(form: Any) -> bytes:
    """Return the canonical JSON of a form, which is part of the document of its approval.

    Workflows ask with the same form again and again, and other commands wait for the digest of the
    document, so that of the last forms is kept.
    """
    return _canonical(msgspec.json.encode(form))


@lru_cache(maxsize=_CACHED)
def _canonical(encoded: bytes) -> bytes:
    return canonical(msgspec.json.decode(encoded))
