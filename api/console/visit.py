"""A visit: one request for a page, with who is signed in and how they read."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.channels.web_push.subscriptions import PushSubscriptions
from api.console import csrf
from api.console.catalogue import COOKIE as LANGUAGE_COOKIE
from api.console.catalogue import LANGUAGES, chosen_language, locale_of, translations_of
from api.console.fanout import Fanout
from api.console.formats import COOKIE as ZONE_COOKIE
from api.console.formats import Formats, zone_of
from api.console.forms import Form, parse
from api.console.health import Health
from api.console.responses import PageError
from api.console.saved_views import SavedViews
from api.console.sessions import Session, Sessions
from api.console.templates import Templates
from api.console.views.reader import Reader
from api.console.views.wording import CHANNELS, MESSAGES, ROLES
from api.context import Context, Services
from api.identity.logins import Logins
from application.api_keys import ApiKeys
from application.event_store.reading import SharedPool
from application.sign_ins import SignIns
from domain import authorization
from domain.values import Principal, Role
from projections.approvals.overview import ApprovalOverview


@dataclass(frozen=True, slots=True)
class Site:
    """What all visits share.

    ``reads`` gives each person a share of what can be read, ``overview`` numbers about all,
    ``health`` how this process is, ``keys`` makes and ends API keys, and
    ``views`` has the searches that people have saved. ``fanout`` wakes live pages.
    ``authenticate`` returns the principal of a token. ``development`` has the made-up people by
    their ids, ``development_tokens`` their ids by their tokens; both are empty in production.
    ``secure``: the cookie of a session is sent over HTTPS only. ``graphiql``: the API serves
    GraphiQL. ``logins`` signs people in at providers, and ``sign_ins`` is told of it.
    ``public_url`` is the address under which people reach the console; None: whichever they use.
    ``push`` has the browsers in which people are told; None if they can't be.
    """

    services: Services
    reads: SharedPool
    fanout: Fanout
    sessions: Sessions
    templates: Templates
    overview: ApprovalOverview
    keys: ApiKeys
    views: SavedViews
    health: Health
    authenticate: Callable[[str | None], Awaitable[Principal | None]]
    development: Mapping[str, Principal]
    development_tokens: Mapping[str, str]
    max_form_bytes: int
    secure: bool
    graphiql: bool
    logins: Logins
    sign_ins: SignIns
    public_url: str | None = None
    push: PushSubscriptions | None = None

    @property
    def cookie(self) -> str:
        """The name of the cookie. A browser takes one with __Host- from this very host only."""
        return "__Host-placet_session" if self.secure else "placet_session"

    @property
    def login_cookie(self) -> str:
        """The name of the cookie that a browser has while it is sent to a provider."""
        return "__Host-placet_login" if self.secure else "placet_login"


@dataclass(slots=True)
class Visit:
    """One request. ``form`` is empty unless a form was posted."""

    site: Site
    request: Request
    language: str
    session_token: str | None
    session: Session | None
    form: Form = field(default_factory=Form)
    formats: Formats = field(init=False)

    def __post_init__(self) -> None:
        self.formats = self._formats_now()

    @classmethod
    async def of(cls, site: Site, request: Request) -> "Visit":
        """Read who is signed in and how they read."""
        token = request.cookies.get(site.cookie)
        session = await site.sessions.find(token)
        language = chosen_language(
            request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language")
        )
        return cls(site, request, language, token, session)

    @classmethod
    def of_nobody(cls, site: Site, request: Request) -> "Visit":
        """Make a visit of somebody who is not known, because the database can't be read."""
        return cls(site, request, chosen_language(None, None), None, None)

    def _formats_now(self) -> Formats:
        zone = zone_of(self.request.cookies.get(ZONE_COOKIE))
        return Formats(locale_of(self.language), zone, datetime.now(UTC))

    @property
    def principal(self) -> Principal:
        """The person who is signed in."""
        assert self.session is not None, "a page for people who are signed in has no session"
        return self.session.principal

    @property
    def reader(self) -> Reader:
        """The person with their language, and the time of the page."""
        formats = self.formats
        return Reader(
            self.principal,
            self.text,
            self.plural,
            formats.now,
            formats.exact_span,
            formats.precise,
        )

    @property
    def services(self) -> Services:
        """The services that the resolvers of the API call."""
        return self.site.services

    @property
    def context(self) -> Context:
        """The same request as the resolvers of the API see it."""
        session_token = self.session_token

        async def recheck() -> Principal | None:
            session = await self.site.sessions.find(session_token)
            return None if session is None else session.principal

        return Context(principal=self.principal, services=self.services, recheck=recheck)

    @property
    def query(self) -> Form:
        """The parameters of the address."""
        return parse(self.request.url.query)

    @property
    def address(self) -> str:
        """The path and the query of the page."""
        # Starlette decodes the path; a browser gets it as it could be sent again.
        path = quote(self.request.url.path, safe="/.:-_~")
        query = self.request.url.query
        return f"{path}?{query}" if query else path

    @property
    def part(self) -> bool:
        """Whether htmx asks for a part of a page."""
        return self.request.headers.get("hx-request") == "true"

    def text(self, message: str, **values: object) -> str:
        """Return a text in the reader's language, with the values in their places."""
        translated: str = translations_of(self.language).gettext(message)
        return translated % values if values else translated

    def plural(self, one: str, many: str, number: int, **values: object) -> str:
        """Return a text for this number of things, with the values in their places."""
        translated: str = translations_of(self.language).ngettext(one, many, number)
        return translated % {"num": number, **values}

    def fragment(self, template: str, **values: Any) -> str:
        """Fill a template that is a part of a page, with the times as of now."""
        return self.site.templates.render(
            self.language, template, formats=self._formats_now(), language=self.language, **values
        )

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """Fill a template."""
        signed_in = None if self.session is None else self.session.principal
        content = self.site.templates.render(
            self.language,
            template,
            csrf="" if self.session_token is None else csrf.token_of(self.session_token),
            formats=self.formats,
            graphiql=self.site.graphiql,
            language=self.language,
            languages=LANGUAGES,
            address=self.address,
            path=self.request.url.path,
            role_words=ROLES,
            channel_words=CHANNELS,
            message_words=MESSAGES,
            form_key=uuid4().hex,
            viewer=signed_in,
            reads_log=signed_in is not None and authorization.sees_events(signed_in),
            has_standing_grants=signed_in is not None
            and (
                authorization.may_decide(signed_in) or authorization.sees_standing_grants(signed_in)
            ),
            sees_people=signed_in is not None and authorization.sees_people(signed_in),
            sees_all=signed_in is not None and authorization.sees_all(signed_in),
            administers=signed_in is not None and authorization.administers(signed_in),
            operates=signed_in is not None
            and not authorization.OPERATORS.isdisjoint(signed_in.roles),
            audits=signed_in is not None
            and not {Role.AUDITOR, Role.ADMIN}.isdisjoint(signed_in.roles),
            **values,
        )
        return HTMLResponse(content, status_code=status)


def not_found(visit: Visit) -> PageError:
    """There is nothing at this address that the viewer may see."""
    return PageError(
        404,
        visit.text("Nothing is here"),
        visit.text("The address may be wrong, or you may not see what it is about."),
    )


def not_allowed(visit: Visit) -> PageError:
    """The roles do not allow the page."""
    return PageError(
        403,
        visit.text("Your roles do not allow this page"),
        visit.text("Sign in as somebody who may, or ask an administrator."),
    )
