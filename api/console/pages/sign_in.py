"""Signing in and out.

In production at a provider (see ``provider_sign_in``), or with an API key. In development also by
choosing one of the made-up people, but only from this very machine: whoever reaches the server
could otherwise be anybody.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from api.console.catalogue import COOKIE as LANGUAGE_COOKIE
from api.console.catalogue import LANGUAGES
from api.console.forms import query
from api.console.pages.provider_sign_in import sign_out_at_provider
from api.console.responses import PageError, local_address, see_other
from api.console.sessions import Draft
from api.console.visit import Visit
from api.identity.identities import Identities
from application.api_keys import token_hash
from domain.validation import MAX_TEXT

A_YEAR = 31_536_000
COMMENT = "comment"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


async def show(visit: Visit) -> Response:
    """Show how to sign in; lead on who is signed in already.

    ``as`` in the address names a made-up person. It signs in at once who has opened the address
    from outside of the browser, or typed it: no site can do that to somebody.
    """
    goal = local_address(visit.query.word("next"), "/")
    person = visit.query.word("as")
    if person in _choosable(visit) and visit.request.headers.get("sec-fetch-site") == "none":
        return await _begin(visit, goal, person=person)
    if visit.session is not None:
        return see_other(goal)
    return _form(visit, goal=goal)


def ask(visit: Visit) -> Response:
    """Answer a request for a page that needs a session.

    What was typed into a form goes along, and is there again after signing in.
    """
    goal = visit.address
    if visit.request.method == "POST":
        # A form's own page: /approvals/ID/grant belongs to /approvals/ID.
        goal = local_address(visit.form.word("page"), "/")
    if visit.request.headers.get("accept") == "text/event-stream":
        return Response(status_code=401)
    if visit.part:
        return Response(status_code=401, headers={"hx-redirect": f"/sign-in{query(next=goal)}"})
    typed = visit.form.value(COMMENT)[:MAX_TEXT]
    return _form(visit, goal=goal, typed=typed, ended=visit.session_token is not None, status=401)


async def sign_in(visit: Visit) -> Response:
    """Begin a session with an API key or as one of the made-up people."""
    site, form = visit.site, visit.form
    goal = local_address(form.word("next"), "/")
    typed = form.value(COMMENT)[:MAX_TEXT]
    draft = Draft(urlsplit(goal).path, typed) if typed.strip() else None
    person = form.word("person")
    if person is not None:
        if person not in _choosable(visit):
            raise PageError(
                403,
                visit.text("You can't sign in by choosing a person here"),
                visit.text("Sign in with an API key."),
            )
        return await _begin(visit, goal, person=person, draft=draft)
    given = form.value("token").strip()
    # The token of a provider is no API key, and would begin a session of the key with its name.
    principal = None if Identities.may_be(given) else await site.authenticate(given)
    if principal is None:
        refusal = visit.text("This key is unknown, revoked or has expired.")
        return _form(visit, goal=goal, typed=typed, refusal=refusal, status=401)
    made_up = site.development_tokens.get(given)
    api_key = None if made_up else principal.name
    key_hash = None if made_up else token_hash(given)
    return await _begin(
        visit, goal, api_key=api_key, key_hash=key_hash, person=made_up, draft=draft
    )


async def _begin(
    visit: Visit,
    goal: str,
    *,
    api_key: str | None = None,
    key_hash: bytes | None = None,
    person: str | None = None,
    draft: Draft | None = None,
) -> Response:
    """Begin a session in place of the one that there is."""
    site = visit.site
    session_token = await site.sessions.begin(
        api_key=api_key, key_hash=key_hash, person=person, draft=draft
    )
    if visit.session is not None:
        await site.sessions.end(visit.session)
    response = see_other(f"/signed-in{query(next=goal)}")
    response.set_cookie(
        site.cookie, session_token, path="/", secure=site.secure, httponly=True, samesite="lax"
    )
    return response


async def signed_in(visit: Visit) -> Response:
    """Lead on, if the browser has kept the cookie of the session."""
    goal = local_address(visit.query.word("next"), "/")
    if visit.session is not None:
        return see_other(goal)
    raise PageError(
        400,
        visit.text("Your browser did not keep the session"),
        visit.text(
            "Allow cookies for this site. In production the console needs HTTPS: browsers keep its"
            " cookie on no other connection."
        ),
    )


async def sign_out(visit: Visit) -> Response:
    """End the session, with the streams of all its pages. At a provider it is ended there too."""
    leaving = await sign_out_at_provider(visit)
    if visit.session is not None:
        await visit.site.sessions.end(visit.session)
    visit.session = None
    response = leaving or see_other("/sign-in")
    response.delete_cookie(
        visit.site.cookie, path="/", secure=visit.site.secure, httponly=True, samesite="lax"
    )
    return response


async def choose_language(visit: Visit) -> Response:
    """Remember the language that a person chose."""
    chosen = visit.query.word("language")
    response = see_other(local_address(visit.query.word("next"), "/"))
    if chosen in LANGUAGES:
        response.set_cookie(
            LANGUAGE_COOKIE,
            chosen,
            max_age=A_YEAR,
            path="/",
            secure=visit.site.secure,
            httponly=True,
            samesite="lax",
        )
    return response


def _form(
    visit: Visit,
    *,
    goal: str,
    typed: str = "",
    refusal: str = "",
    ended: bool = False,
    status: int = 200,
) -> Response:
    return visit.page(
        "sign_in.html",
        status=status,
        goal=goal,
        typed=typed,
        refusal=refusal,
        ended=ended,
        people=list(_choosable(visit).values()),
        providers=visit.site.logins.offered,
        development=bool(visit.site.development),
    )


def _choosable(visit: Visit) -> dict[str, object]:
    """Return the made-up people, nobody unless the browser is on this machine."""
    return dict(visit.site.development) if _from_this_machine(visit.request) else {}


def _from_this_machine(request: Request) -> bool:
    """Whether the browser is on this machine and knows it.

    The Host has to be a name of this machine: a page of another site that has its own name resolved
    to this machine (DNS rebinding) sends its own. A proxy may forward from elsewhere.
    """
    if any(name in request.headers for name in _FORWARDED):
        return False
    client = "" if request.client is None else request.client.host
    name = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    return _loopback(client) and (name == "localhost" or _loopback(name))


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
