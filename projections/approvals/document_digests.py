"""Digests of the documents in rows, computed from what is shown.

A row has the digests that were recorded, but whoever can write to its table could change the
document beside them. A decision names the digest that was shown, so the digest of a changed
document is refused.
"""

import hashlib
from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

import msgspec

from domain.approvals.document import document_digest, document_of
from domain.approvals.state import Approval
from domain.execution.state import Execution
from domain.serialization.canonical_json import canonical, digest

REMEMBERED = 20_000
"""How many documents are remembered. A page shows the same ones again and again."""

_encode = msgspec.json.Encoder().encode


class Digests(NamedTuple):
    """The digest of a document, and that of its payload alone."""

    document: str
    payload: str


class DocumentDigests:
    """Computes digests. Any thread may use it.

    Canonical JSON takes milliseconds for a large payload. So the digests are remembered by a hash
    of the document's plain JSON, which takes microseconds.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._known: OrderedDict[bytes, Digests] = OrderedDict()
        self._lock = Lock()

    def of(self, execution: Execution, approval: Approval) -> Digests:
        """Return the digests of an approval's document as it is.

        A document that has no canonical JSON gets a digest that no request has.
        """
        document = document_of(execution, approval)
        plain = _encode(document)
        key = hashlib.sha256(plain).digest()
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        try:
            payload = canonical(approval.payload)
            found = Digests(document_digest(document, payload), digest(payload))
        except ValueError:
            found = Digests(digest(plain), digest(plain))
        with self._lock:
            self._known[key] = found
            if len(self._known) > self._remembered:
                self._known.popitem(last=False)
        return found
