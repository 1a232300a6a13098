"""Files of providers at which people can sign in to the console."""

from pathlib import Path

from tests.support.oidc_provider import CLIENT

_ISSUER = """
[[issuers]]
issuer = "{url}"
alias = "issuer-{number}"
audiences = ["placet"]
roles = {{ approver = "APPROVER" }}
claims = {{ name = "nickname" }}

[issuers.sign_in]
client_id = "{client}"
client_secret_file = "{secret}"
label = "{label}"
"""


def sign_in_file(directory: Path, issuers: list[tuple[str, str]]) -> Path:
    """Write a file of issuers, each with its address and what its button says."""
    secret = directory / "secret"
    secret.write_text("s3cret", encoding="utf-8")
    file = directory / "issuers.toml"
    tables = [
        _ISSUER.format(url=url, number=number, client=CLIENT, secret=secret, label=label)
        for number, (url, label) in enumerate(issuers)
    ]
    file.write_text("".join(tables), encoding="utf-8")
    return file
