"""A real OpenID Connect provider in a process of its own, and issuers that the tests sign for."""

import base64
import hashlib
import json
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

AUDIENCE = "placet"
CLIENT = "placet-console"
_ROOT = Path(__file__).parents[2]


class RunningProvider:
    """``oidc-provider-mock`` at ``url``. Use it as ``with RunningProvider.start() as provider``."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    @contextmanager
    def start(cls, lifetime: int = 3_600) -> Iterator["RunningProvider"]:
        """Start it. Its tokens are valid for ``lifetime`` seconds."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.oidc_provider_process", str(lifetime)],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield cls(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.terminate()
            process.wait(10)
            if process.stdout is not None:
                process.stdout.close()

    def knows(self, subject: str, **claims: Any) -> None:
        """Give somebody these claims."""
        httpx.put(f"{self.url}/users/{subject}", json=claims).raise_for_status()

    def id_token(self, subject: str, client: str = AUDIENCE, **asked: str) -> str:
        """Log somebody in, and return their ID token."""
        back = "http://127.0.0.1:1/back"
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": client,
            "redirect_uri": back,
            "scope": "openid profile email",
            "nonce": secrets.token_urlsafe(),
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **asked,
        }
        answer = httpx.post(f"{self.url}/oauth2/authorize", params=query, data={"sub": subject})
        [code] = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
        tokens = httpx.post(
            f"{self.url}/oauth2/token",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": back,
                "client_id": client,
                "client_secret": "secret",
                "code_verifier": verifier,
            },
        )
        return str(tokens.raise_for_status().json()["id_token"])


class SigningIssuer:
    """An issuer that publishes ``keys``; the tests sign for it.

    ``away``: it answers 503. While ``answers`` is not set, it takes requests and says nothing.
    """

    def __init__(self) -> None:
        self.keys = [RSAKey.generate_key(2048, {"kid": "first"})]
        self.away = False
        self.answers = threading.Event()
        self.answers.set()
        self.asked = 0
        self.discovery: dict[str, Any] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.answers.wait(30)
                body = json.dumps(issuer._document(self.path)).encode()
                self.send_response(503 if issuer.away else 200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/tenant"

    @classmethod
    @contextmanager
    def start(cls) -> Iterator["SigningIssuer"]:
        issuer = cls()
        thread = threading.Thread(target=issuer._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield issuer
        finally:
            issuer.answers.set()
            issuer._server.shutdown()
            issuer._server.server_close()
            thread.join()

    def rotate(self, kid: str, *, keep: bool = False) -> None:
        """Sign with another key from now on; the one before stays published if ``keep``."""
        new = RSAKey.generate_key(2048, {"kid": kid})
        self.keys = [new, *(self.keys if keep else [])]

    def token(self, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Sign a token for ``maja``. A claim of None is left out."""
        key = key or self.keys[0]
        now = int(time.time())
        given = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "maja",
            "iat": now,
            "exp": now + 300,
            "name": "Maja",
            "roles": ["approver"],
            "groups": ["finance"],
            **claims,
        }
        written = {"alg": "RS256", "kid": self.keys[0].kid, **(header or {})}
        return jwt.encode(
            {name: value for name, value in written.items() if value is not None},
            {name: value for name, value in given.items() if value is not None},
            key,
            algorithms=[written["alg"]],
        )

    def _document(self, path: str) -> Any:
        self.asked += 1
        if path == "/tenant/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/jwks", **self.discovery}
        return KeySet(list(self.keys)).as_dict(private=False)
