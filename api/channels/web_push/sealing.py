"""Encrypts and signs what goes to a push service. Its libraries take a while to load, and 30 MB."""

import base64
from datetime import datetime, timedelta

from py_vapid import Vapid02
from pywebpush import WebPusher
from yarl import URL

from api.channels.web_push.subscriptions import BrowserKeys
from api.channels.web_push.vapid import private_key

# RFC 8292, section 2: at most 24 hours.
VALID = timedelta(hours=12)


def sealed(keys: BrowserKeys, body: bytes) -> bytes:
    """Encrypt a body for one browser (RFC 8291)."""
    given = {"p256dh": _base64url(keys.p256dh), "auth": _base64url(keys.auth)}
    pusher = WebPusher({"endpoint": keys.endpoint, "keys": given})
    return bytes(pusher.encode(body, "aes128gcm")["body"])


def authorization(endpoint: str, secret: bytes, subject: str, now: datetime) -> str:
    """Return the header Authorization. ``subject`` is whom a push service can write to."""
    claims = {
        "aud": str(URL(endpoint).origin()),
        "exp": int((now + VALID).timestamp()),
        "sub": subject,
    }
    # Strict is narrower than RFC 8292: it takes no address with a port or a path.
    vapid = Vapid02(private_key(secret), conf={"no-strict": True})
    return str(vapid.sign(claims)["Authorization"])


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
