"""The token of the made-up person who is signed in, for GraphiQL. There is none in production."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from api.console import csrf
from api.console.visit import Visit, not_found


async def show(visit: Visit) -> Response:
    """Answer with the name and the token; 204 if nobody made up is signed in.

    Somebody with an API key gets none, because a session does not know its key. A session has no
    more rights by the token than it has by itself. Raises PageError in production and for requests
    that a page of another site makes.
    """
    if not visit.site.graphiql or csrf.from_another_site(Headers(scope=visit.request.scope)):
        raise not_found(visit)
    principal = None if visit.session is None else visit.session.principal
    for token, person in visit.site.development_tokens.items():
        if principal is not None and visit.site.development[person] == principal:
            return JSONResponse({"name": principal.name, "token": token})
    return Response(status_code=204)
