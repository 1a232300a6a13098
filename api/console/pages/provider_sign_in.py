"""Signing in at a provider, and once more where a policy asks for another login.

Forms of this console lead to this console only, also by a redirect: its policy of content says so.
So who is sent to a provider first gets a page that leads on by itself.
"""

from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from starlette.responses import Response

from api.console.forms import query
from api.console.pages.approvals_found import found_approval
from api.console.responses import PageError, local_address, see_other
from api.console.sessions import Draft, Identity
from api.console.visit import Visit, not_found
from api.identity.logins import LIFETIME, Login, LoginError
from api.identity.provider import ProviderAwayError
from domain.validation import MAX_TEXT

_log = structlog.get_logger(__name__)

PATH = "/sign-in/callback"
MAX_DRAFT = 256 * 1024
"""Characters of a form that are kept while its person is at the provider."""
_NOT_KEPT = {"csrf", "page", "provider"}


async def leave(visit: Visit) -> Response:
    """Send somebody to the provider that they chose. A comment that was typed comes back too."""
    goal = local_address(visit.form.word("next"), "/")
    typed = visit.form.value("comment")[:MAX_TEXT]
    draft = Draft(urlsplit(goal).path, typed) if typed.strip() else None
    issuer = visit.site.logins.offers(visit.form.word("provider"))
    if issuer is None:
        raise not_found(visit)
    return await _sent(visit, Login(issuer=issuer, goal=goal, draft=_kept(draft)))


async def step_up(visit: Visit) -> Response:
    """Send somebody to the provider for the login that the policy of an approval asks for.

    Everything that was typed into the form of the decision is there again when they come back.
    """
    _, approval = await found_approval(visit)
    policy = approval.policy
    issuer = visit.site.logins.offers(visit.form.word("provider"))
    if issuer is None or not policy.asks_for_login:
        raise not_found(visit)
    fields = tuple(pair for pair in visit.form.pairs() if pair[0] not in _NOT_KEPT)
    if sum(len(name) + len(value) for name, value in fields) > MAX_DRAFT:
        raise PageError(
            413,
            visit.text("This is too long to be kept"),
            visit.text("Copy what you typed, sign in again, and paste it."),
        )
    path = f"/approvals/{approval.id}"
    age = policy.max_auth_age
    login = Login(
        issuer=issuer,
        goal=f"{path}#decide",
        acr_values=policy.acr_values,
        max_age=None if age is None else int(age.total_seconds()),
        person=visit.principal.id,
        draft=_kept(Draft(path, fields=fields)),
    )
    return await _sent(visit, login)


async def arrive(visit: Visit) -> Response:
    """End a sign-in that the provider sends back, and lead to where it began."""
    site, alias = visit.site, str(visit.request.path_params["alias"])
    answer = dict(visit.request.query_params)
    secret = visit.request.cookies.get(site.login_cookie)
    try:
        arrival = await site.logins.finish(alias, answer, _callback(visit, alias), secret)
    except LoginError as error:
        _log.info("login_failed", issuer=alias, reason=str(error), provider=error.reason[:100])
        raise _refused(visit, error) from error
    except ProviderAwayError as error:
        raise _away(visit, error) from error
    if not arrival.principal.roles:
        raise PageError(
            403,
            visit.text("You have no role here"),
            visit.text("You have signed in, but may see nothing. Ask an administrator for a role."),
        )
    session_token = await site.sessions.begin(
        identity=Identity(issuer=arrival.issuer.issuer, principal=arrival.principal),
        draft=msgspec.convert(arrival.draft, Draft | None),
    )
    if await site.sessions.find(session_token) is None:
        raise PageError(
            403,
            visit.text("You can't sign in here any more"),
            visit.text("An administrator has ended your access. Ask them if that is a mistake."),
        )
    site.sign_ins.saw(arrival.principal, told=True)
    if visit.session is not None:
        await site.sessions.end(visit.session)
    response = see_other(f"/signed-in{query(next=arrival.goal)}")
    response.set_cookie(
        site.cookie, session_token, path="/", secure=site.secure, httponly=True, samesite="lax"
    )
    response.delete_cookie(
        site.login_cookie, path="/", secure=site.secure, httponly=True, samesite="lax"
    )
    return response


async def sign_out_at_provider(visit: Visit) -> Response | None:
    """Return the page that ends the session at the provider too, None if there is none to end."""
    if visit.session is None or visit.session.issuer is None:
        return None
    back = f"{_origin(visit)}/sign-in"
    address = await visit.site.logins.end_address(visit.session.issuer, back)
    return None if address is None else _leading(visit, address, signing_out=True)


async def _sent(visit: Visit, login: Login) -> Response:
    site = visit.site
    try:
        departure = await site.logins.begin(
            login,
            _callback(visit, login.issuer.alias),
            visit.request.cookies.get(site.login_cookie),
        )
    except ProviderAwayError as error:
        raise _away(visit, error) from error
    response = _leading(visit, departure.address, login.issuer.label)
    response.set_cookie(
        site.login_cookie,
        departure.secret,
        max_age=LIFETIME,
        path="/",
        secure=site.secure,
        httponly=True,
        samesite="lax",
    )
    return response


def _leading(visit: Visit, address: str, label: str = "", *, signing_out: bool = False) -> Response:
    """Return a page that leads on at once, and has a link for browsers that do not."""
    response = visit.page("leaving.html", goal=address, label=label, signing_out=signing_out)
    # The browser tells the provider nothing of the page that it comes from.
    response.headers["referrer-policy"] = "no-referrer"
    return response


def _kept(draft: Draft | None) -> Any:
    return None if draft is None else msgspec.to_builtins(draft)


def _callback(visit: Visit, alias: str) -> str:
    return f"{_origin(visit)}{PATH}/{alias}"


def _origin(visit: Visit) -> str:
    url = visit.request.url
    return visit.site.public_url or f"{url.scheme}://{url.netloc}"


def _away(visit: Visit, error: ProviderAwayError) -> PageError:
    _log.warning("provider_away", error=str(error))
    return PageError(
        503,
        visit.text("The provider can't be reached"),
        visit.text("Nobody can sign in there at the moment. Try again later."),
    )


def _refused(visit: Visit, error: LoginError) -> PageError:
    title = visit.text("You have not signed in")
    match error.reason:
        case "access_denied":
            advice = visit.text("The provider says that you or it refused. Sign in again.")
        case "unmet_authentication_requirements" | "login_required" | "interaction_required":
            advice = visit.text("The provider can't give you the login that is asked for.")
        case "":
            advice = visit.text(
                "This sign-in was begun in another browser, took more than ten minutes, or was used"
                " before. Sign in again. If that does not help, ask an administrator: the log of"
                " the server says why."
            )
        case _:
            advice = visit.text("The provider did not sign you in. The log of the server says why.")
    return PageError(400, title, advice)
