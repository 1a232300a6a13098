"""Providers, and servers that take their tokens."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.oidc_provider import RunningProvider, SigningIssuer


@pytest.fixture(scope="session")
def provider() -> Iterator[RunningProvider]:
    """A real provider in a process of its own."""
    with RunningProvider.start() as provider:
        yield provider


@pytest.fixture
def issuer() -> Iterator[SigningIssuer]:
    """An issuer that the test signs for."""
    with SigningIssuer.start() as issuer:
        yield issuer


@pytest.fixture
def partner() -> Iterator[SigningIssuer]:
    """Another one."""
    with SigningIssuer.start() as issuer:
        yield issuer


@pytest.fixture
def issuers_file(tmp_path: Path) -> Path:
    """Where a test writes the file of the issuers."""
    return tmp_path / "issuers.toml"
