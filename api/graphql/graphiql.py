"""The page of GraphiQL, changed so that the browser remembers no token."""

from strawberry.http.ides import get_graphql_ide_html

# What the page of strawberry does, and what it should do.
_CHANGES = (
    # Headers would be kept in the browser's storage.
    ("shouldPersistHeaders: true,", "shouldPersistHeaders: false, storage: null,"),
    # A link could carry a token, and it would be in the browser's history.
    ("React.useState(parameters.headers)", 'React.useState("")'),
)
# GraphiQL's history of queries, and what the page kept before, had tokens too. Without a storage it
# forgets both when the page is closed; the query and its variables are in the URL.
_FORGET = """
      for (const key of Object.keys(localStorage)) {
        if (key.startsWith("graphiql:")) localStorage.removeItem(key);
      }
      delete parameters.headers;
"""
_FORGET_BEFORE = "      function updateURL(data) {"


def page() -> bytes:
    """Return the page. Raises ValueError if it is not the one that the changes are for."""
    html = get_graphql_ide_html("graphiql")
    for old, new in (*_CHANGES, (_FORGET_BEFORE, _FORGET + _FORGET_BEFORE)):
        if html.count(old) != 1:
            msg = f"the page of GraphiQL has changed: it has no {old.strip()!r}"
            raise ValueError(msg)
        html = html.replace(old, new)
    return html.encode()
