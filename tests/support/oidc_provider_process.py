"""The program of :mod:`tests.support.oidc_provider`: ``oidc-provider-mock``, made stricter.

It asks for PKCE with S256 (RFC 7636), and gives who logs in the strength that was asked for and the
time of the login, as a provider does that knows RFC 9470. Its argument is how many seconds a token
is valid. Prints its port.
"""

import base64
import hashlib
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

# The library uses a part of authlib that is on its way out.
warnings.simplefilter("ignore")

import oidc_provider_mock  # type: ignore[import-untyped]  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402
from werkzeug.test import Client  # noqa: E402
from werkzeug.wrappers import Request, Response  # noqa: E402


class Strict:
    """A WSGI application around the provider."""

    def __init__(self, provider: Any) -> None:
        self._provider = Client(provider, use_cookies=False)
        self._people: dict[str, dict[str, Any]] = {}
        self._challenges: dict[str, str] = {}

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        body = request.get_data()
        if request.path.startswith("/users/") and request.method == "PUT":
            self._people[request.path.removeprefix("/users/")] = json.loads(body)
        if request.path == "/oauth2/authorize" and request.method == "POST":
            self._log_in(request)
        if request.path == "/oauth2/token" and not self._proves(request):
            answer = Response('{"error": "invalid_grant"}', 400, content_type="application/json")
            return answer(environ, start)
        answer = self._provider.open(
            path=request.path,
            method=request.method,
            base_url=request.host_url,
            query_string=request.query_string.decode(),
            data=body,
            headers=list(request.headers.items()),
        )
        if request.path == "/oauth2/authorize" and "location" in answer.headers:
            codes = parse_qs(urlsplit(answer.headers["location"]).query).get("code", [])
            for code in codes:
                assert request.args["code_challenge_method"] == "S256"
                self._challenges[code] = request.args["code_challenge"]
        plain = Response(answer.get_data(), answer.status, list(answer.headers.items()))
        return plain(environ, start)

    def _log_in(self, request: Request) -> None:
        person = request.form.get("sub", "")
        claims = {**self._people.get(person, {}), "auth_time": int(time.time())}
        asked = request.args.get("acr_values", "").split()
        if asked:
            claims["acr"] = asked[0]
        self._provider.put(f"/users/{person}", json=claims)

    def _proves(self, request: Request) -> bool:
        if request.form.get("grant_type") != "authorization_code":
            return True
        verifier = request.form.get("code_verifier", "")
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return self._challenges.get(request.form.get("code", "")) == challenge


if __name__ == "__main__":
    lifetime = timedelta(seconds=int(sys.argv[1]))
    provider = oidc_provider_mock.app(require_nonce=True, access_token_max_age=lifetime)
    server = make_server("127.0.0.1", 0, Strict(provider), threaded=True)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
