"""The keys of what a workflow asks for: given by its code, or made by order of call."""

from placet._util.validation import check_name
from placet.engine.history import MARKER, TOLD
from placet.models.rules import MAX_NAME


class CallKeys:
    """Makes the keys of one workflow."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def key(self, given: str | None, name: str) -> str:
        """Return the key that was given, or ``name-n`` by order of call.

        Raises ValueError for a key that is reserved for ``run.patched`` or ``run.ask``, or that the
        service does not take.
        """
        key = given
        if key is None:
            number = self._numbers[name] = self._numbers.get(name, 0) + 1
            key = f"{name}-{number}"
            if number > 1 and len(key) <= MAX_NAME:
                # Checked with the first of this name.
                return key
        check_name(key, "the key", "give another by key=, of 1 to 200 printable characters")
        for reserved, use in ((MARKER, "run.patched"), (TOLD, "run.ask")):
            if key.startswith(reserved):
                msg = f"the key {key!r} begins with {reserved!r}, which is reserved for {use}"
                raise ValueError(msg)
        return key
