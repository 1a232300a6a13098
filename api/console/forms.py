"""Forms as browsers post them, and the parameters of an address."""

from collections.abc import Container, Iterable
from urllib.parse import parse_qsl, urlencode

from starlette.requests import ClientDisconnect, Request

MAX_FIELDS = 1_000
MEDIA_TYPE = "application/x-www-form-urlencoded"


class FormError(Exception):
    """The form can't be read. ``status`` is the one of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Form:
    """The fields of a form or of an address, each with its values in order."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def value(self, name: str) -> str:
        """Return the first value of a field, "" if it is missing."""
        return (self._values.get(name) or [""])[0]

    def has(self, name: str) -> bool:
        """Whether the field is there, even if it is empty."""
        return name in self._values

    def pairs(self) -> list[tuple[str, str]]:
        """Return every field with each of its values."""
        return [(name, value) for name, values in self._values.items() for value in values]

    def has_words(self, but: Container[str] = ()) -> bool:
        """Whether something is in a field, apart from these."""
        return any(value.strip() for name, value in self.pairs() if name not in but)

    def word(self, name: str) -> str | None:
        """Return the value without space around it, None if nothing is left."""
        return self.value(name).strip() or None

    def all(self, name: str) -> list[str]:
        """Return all values of a field."""
        return list(self._values.get(name, ()))

    def number(self, name: str) -> int | None:
        """Return a whole number of at most 15 digits, None for anything else."""
        text = self.value(name).strip()
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None  # noqa: PLR2004


def parse(text: str) -> Form:
    """Parse a query or a posted form. Raises FormError."""
    try:
        return Form(
            parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        )
    except ValueError as error:
        raise FormError(400, f"the form can't be read: {error}") from error


async def read(request: Request, limit: int) -> Form:
    """Read the body of a request, of at most ``limit`` bytes. Raises FormError."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        raise FormError(415, f"Content-Type must be {MEDIA_TYPE}")
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise FormError(413, f"the form has more than {limit} bytes")
            parts.append(part)
    except ClientDisconnect as error:
        raise FormError(400, "the browser hung up") from error
    try:
        return parse(b"".join(parts).decode("ascii"))
    except UnicodeDecodeError as error:
        raise FormError(400, "the form is not percent-encoded") from error


def query(**fields: str | int | Iterable[str] | None) -> str:
    """Return a query of these fields, "" if all are empty, else with its question mark."""
    pairs: list[tuple[str, str]] = []
    for name, value in fields.items():
        if value is None or value == "":
            continue
        values = [str(value)] if isinstance(value, str | int) else list(value)
        pairs += [(name, one) for one in values]
    return f"?{urlencode(pairs)}" if pairs else ""
