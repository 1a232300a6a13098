"""When two names of people or groups are the same name.

Programs write one name in several ways: with a blank at the end, or with an accent as a character
of its own. What makes a person eligible compares names in their normal form and otherwise exactly.
What bars a person also ignores case, because two spellings may be one person, and a wrong bar does
less harm than a decision about one's own request.

Names in old events are not rewritten: they are brought into this form when they are compared.
"""

from collections.abc import Iterable
from unicodedata import normalize


def normal(name: str) -> str:
    """Return the normal form of a name: trimmed, and in NFC."""
    if name.isascii():
        return name.strip()
    return normalize("NFC", name.strip())


def normal_set(names: Iterable[str]) -> frozenset[str]:
    """Return the normal forms of some names."""
    return frozenset(map(normal, names))


def same_name(one: str | None, other: str | None) -> bool:
    """Whether two names are the same; None is only the same as None."""
    if one is None or other is None:
        return one is other
    return normal(one) == normal(other)


def folded(name: str) -> str:
    """Return the normal form of a name without its case (Unicode, definition D145)."""
    if name.isascii():
        return name.strip().lower()
    return normalize("NFC", normalize("NFD", name.strip()).casefold())


def is_reserved(name: str) -> bool:
    """Whether a name means the service itself: ``placet``, and all that begin with ``placet:``.

    Nobody can sign in with such a name, in any spelling. So an event that has it as its actor was
    recorded by the service.
    """
    key = folded(name)
    return key == "placet" or key.startswith("placet:")


def may_be_same_person(one: str | None, other: str | None) -> bool:
    """Whether two names may belong to one person: they are the same if case is ignored."""
    return one is not None and other is not None and folded(one) == folded(other)
