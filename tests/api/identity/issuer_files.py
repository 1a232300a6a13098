"""Files of issuers for tests."""

from pathlib import Path


def issuer_table(url: str, alias: str = "acme", more: str = "") -> str:
    """Return the table of an issuer whose approvers may decide."""
    return f"""
[[issuers]]
issuer = "{url}"
alias = "{alias}"
audiences = ["placet"]
clock_skew = 5
{more}
[issuers.roles]
approver = "APPROVER"
"""


def write(file: Path, *tables: str) -> Path:
    """Write a file of these tables."""
    file.write_text("\n".join(tables), encoding="utf-8")
    return file
