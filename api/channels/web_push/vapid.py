"""The key by which browsers know this service (VAPID, RFC 8292)."""

import base64

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

# The order of the curve P-256 (NIST SP 800-186, section 3.2.1.3).
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_LENGTH = 48
_PURPOSE = b"placet web push vapid v1"


def private_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the key that follows from a secret, always the same (FIPS 186-5, appendix A.2.1)."""
    wide = HKDF(SHA256(), length=_LENGTH, salt=None, info=_PURPOSE).derive(secret)
    return ec.derive_private_key(int.from_bytes(wide) % (_ORDER - 1) + 1, ec.SECP256R1())


def application_server_key(secret: bytes) -> str:
    """Return the public key in base64url, as browsers take it when they subscribe."""
    public = private_key(secret).public_key()
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()
