"""The files in ``static``, each under an address that changes with its content."""

import gzip
import hashlib
import mimetypes
from importlib.resources import files
from typing import NamedTuple

# Not left to the tables of the machine, which can be wrong or empty.
for _suffix, _type in ((".js", "text/javascript"), (".css", "text/css"), (".svg", "image/svg+xml")):
    mimetypes.add_type(_type, _suffix)

NAMES = (
    "tokens.css",
    "layout.css",
    "components.css",
    "executions.css",
    "charts.css",
    "approval.css",
    "console.js",
    "deadlines.js",
    "push.js",
    "icon.svg",
    "vendor/htmx-2.0.11.min.js",
    "graphiql.css",
    "graphiql.js",
    "vendor/graphiql/graphiql-3.9.0.min.css",
    "vendor/graphiql/graphiql-3.9.0.min.js",
    "vendor/graphiql/react-18.3.1.min.js",
    "vendor/graphiql/react-dom-18.3.1.min.js",
)


class Asset(NamedTuple):
    """A file, also compressed, with its type and the version that its address has.

    Pages themselves are not compressed: they have secrets beside what others can choose (BREACH).
    """

    content: bytes
    compressed: bytes
    media_type: str
    version: str


def load() -> dict[str, Asset]:
    """Read all assets."""
    assets = {}
    for name in NAMES:
        content = files(__package__).joinpath("static", name).read_bytes()
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        version = hashlib.sha256(content).hexdigest()[:12]
        assets[name] = Asset(content, gzip.compress(content, mtime=0), media_type, version)
    return assets
