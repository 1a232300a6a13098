"""The text by which executions and approvals are found.

The same punctuation is replaced in documents and queries. Otherwise PostgreSQL's parser reads
``PO-4711`` as a word and a negative number, and ``a/b`` as the name of a file; it drops what looks
like a tag, and takes 15 seconds for 256 KiB of words that are joined by underscores.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from domain.approvals.state import Approval
from domain.execution.state import Execution
from projections.querying.keyset_pages import BadFilterError

# A tsvector can have 1 MiB at most. Without the punctuation that is replaced here, it takes less
# than three times the bytes of the text, so a document never reaches that limit.
MAX_BYTES = 256 * 1024

# A word of a query can have some 2,000 bytes at most, and a character takes up to four.
MAX_QUERY = 500

_SIGNS = "\x00/\\@<>&_"
_IN_QUERY = str.maketrans(dict.fromkeys(_SIGNS, " "))
_IN_DOCUMENT = str.maketrans(dict.fromkeys(_SIGNS + "-", " "))
_INNER_HYPHEN = re.compile(r"(?<=[^\s\"])-")


def execution_text(execution: Execution) -> str:
    """Return the document of an execution: workflow, labels, and titles and payloads of approvals.

    The titles come before the payloads, so that a large payload does not hide a later title.
    """
    approvals = execution.approvals_in_order()
    return _document(_about(execution), *map(_title, approvals), *map(_payload, approvals))


def approval_text(execution: Execution, approval: Approval) -> str:
    """Return the document of an approval: workflow, title and payload.

    Without the labels of the execution: approvers may not see them, but could otherwise find each
    word of them by a search.
    """
    return _document([execution.workflow], _title(approval), _payload(approval))


def query_text(text: str) -> str:
    """Return a query for ``websearch_to_tsquery``, with the same replacements as in documents.

    Raises BadFilterError for a query of more than 500 characters.
    """
    if len(text) > MAX_QUERY:
        msg = f"text has {len(text)} characters, the limit is {MAX_QUERY}"
        raise BadFilterError(msg)
    plain = text.encode("utf-8", "replace").decode().translate(_IN_QUERY)
    return _INNER_HYPHEN.sub(" ", plain)


def _about(execution: Execution) -> Iterator[str]:
    yield execution.workflow
    for label in execution.labels:
        yield label.name
        yield label.value


def _title(approval: Approval) -> Iterator[str]:
    if approval.title is not None:
        yield approval.title


def _payload(approval: Approval) -> Iterator[str]:
    return _words(approval.payload)


def _words(value: Any) -> Iterator[str]:
    """Yield the names, strings and numbers of a JSON value."""
    match value:
        case str():
            yield value
        case None | bool():
            return
        case int() | float():
            yield str(value)
        case dict():
            for name, member in value.items():
                yield name
                yield from _words(member)
        case _:
            for item in value:
                yield from _words(item)


def _document(*parts: Iterable[str]) -> str:
    size, words = 0, []
    for part in parts:
        for word in part:
            words.append(word)
            size += len(word) + 1
            if size >= MAX_BYTES:
                break
    text = "\n".join(words).translate(_IN_DOCUMENT)
    # A character takes four bytes at most.
    if len(text) * 4 <= MAX_BYTES:
        return text
    return text.encode()[:MAX_BYTES].decode(errors="ignore")
