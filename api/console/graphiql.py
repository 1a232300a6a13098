"""GraphiQL for development: its page, from files of this server only."""

from api.console.assets import Asset
from api.console.catalogue import DEFAULT
from api.console.responses import HEADERS
from api.console.templates import Templates
from api.graphql.ide import IdePage

# As strict as the console but for what GraphiQL brings along: its menus and dialogs put a style
# element into the page, and its style sheet has fonts and pictures as data. No inline script.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src data:; connect-src 'self'; form-action 'none'; frame-ancestors 'none';"
    " base-uri 'none'"
)


def page(assets: dict[str, Asset]) -> IdePage:
    """Return the page. It asks ``/graphiql/token`` for the token of who is signed in."""
    html = Templates(assets).render(DEFAULT, "graphiql.html").encode()
    return IdePage(html, {**HEADERS, "content-security-policy": CONTENT_SECURITY_POLICY})
