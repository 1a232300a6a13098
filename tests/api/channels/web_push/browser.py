"""A browser as a push service sees it: it can read what is sent to it, and who sends it.

It decrypts with the library that pywebpush encrypts with, and checks the signature with another.
"""

import base64
import json
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from api.channels.web_push.subscriptions import BrowserKeys
from tests.api.channels.receiver import Received

AUTH = b"sixteen bytes :)"


class Browser:
    """``url`` is the address of its push service, ``name`` makes its endpoint its own."""

    def __init__(self, url: str = "https://push.example.com", name: str = "laptop") -> None:
        self.endpoint = f"{url}/send/{name}"
        self.key = ec.generate_private_key(ec.SECP256R1())
        public = self.key.public_key()
        self.keys = BrowserKeys(
            self.endpoint,
            public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
            AUTH,
        )

    @property
    def fields(self) -> dict[str, str]:
        """What the page of a browser posts."""
        return {
            "endpoint": self.endpoint,
            "p256dh": base64url(self.keys.p256dh),
            "auth": base64url(AUTH),
        }

    def plain(self, got: Received) -> bytes:
        """Decrypt a message (RFC 8291). Raises ECEException for one to another browser."""
        plain = http_ece.decrypt(
            got.body, private_key=self.key, auth_secret=AUTH, version="aes128gcm"
        )
        return bytes(plain)

    def read(self, got: Received) -> Any:
        return json.loads(self.plain(got))


def signer(got: Received) -> tuple[str, Any]:
    """Check the signature of a message (RFC 8292). Return the key in base64url and the claims."""
    scheme, _, parameters = got.headers["authorization"].partition(" ")
    assert scheme == "vapid"
    given = dict(each.split("=", 1) for each in parameters.split(","))
    key = given["k"]
    point = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
    known = ECKey.import_key(
        {"kty": "EC", "crv": "P-256", "x": base64url(point[1:33]), "y": base64url(point[33:])}
    )
    return key, jwt.decode(given["t"], known, algorithms=["ES256"]).claims


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
