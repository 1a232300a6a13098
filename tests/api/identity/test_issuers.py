"""The file of issuers: what it may say, and what the server says that it can't start with."""

import re
from pathlib import Path

import pytest

from api.identity.issuers import load_issuers
from api.settings import ConfigurationError
from domain.values import Role
from tests.api.identity.issuer_files import issuer_table, write

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "identity.md"
URL = "https://login.example.com"
ACME = issuer_table(URL)


def test_an_issuer_has_safe_defaults(issuers_file: Path) -> None:
    [issuer] = load_issuers(write(issuers_file, ACME))
    assert issuer.first
    assert issuer.algorithms == ["RS256"]
    assert issuer.claims.id == "sub"
    assert issuer.roles == {"approver": [Role.APPROVER]}
    assert not issuer.default_roles
    assert not issuer.trust_email


def test_there_are_no_issuers_without_a_file() -> None:
    assert load_issuers(None) == ()


def with_line(line: str) -> str:
    return issuer_table(URL, more=line)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[issuers", "is not TOML"),
        ("", "issuers: Field required"),
        ("issuers = []", "issuers: Value should have at least 1"),
        ("[[issuers]]", "issuers.0.issuer: Field required"),
        (with_line('alias2 = "x"'), "issuers.0.alias2: there is nothing of this name"),
        (with_line("first = true"), "first can't be set"),
        (issuer_table("login.example.com"), "issuers.0.issuer: 'login.example.com' is no address"),
        (issuer_table("http://login.example.com"), "must begin with https://"),
        (issuer_table(f"{URL}?a=b"), "is no address"),
        (issuer_table(URL, "A:B"), "issuers.0.alias: 'A:B' is no alias"),
        (issuer_table(URL, "placet"), "the alias 'placet' is reserved for the service"),
        (with_line("algorithms = []"), "issuers.0.algorithms: Value should have at least 1"),
        (with_line('algorithms = ["HS256"]'), "issuers.0.algorithms.0: Input should be 'RS256'"),
        (with_line('algorithms = "none"'), "issuers.0.algorithms.0: Input should be 'RS256'"),
        (with_line('default_roles = ["BOSS"]'), "'BOSS' is no role; the roles are OPERATOR"),
        (with_line('id_mapping.a = " PLACET"'), "the id 'PLACET' is reserved for the service"),
        (with_line('claims.id = "email"'), "id and subject must not be the claim of the e-mail"),
        (with_line('sign_in.client_id = ""'), "issuers.0.sign_in.client_id: String should have"),
        (with_line('sign_in = {client_id = "a", scopes = ["email"]}'), "scopes must have openid"),
        (ACME + issuer_table(URL, "b"), f"two issuers have the issuer '{URL}'"),
        (ACME + issuer_table(URL + "/b"), "two issuers have the alias 'acme'"),
    ],
)
def test_what_is_wrong_is_named(issuers_file: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_issuers(write(issuers_file, text))
    assert str(caught.value).startswith(f"PLACET_ISSUERS: {issuers_file}")
    assert said in str(caught.value)


def test_the_files_of_the_documentation_are_files_of_issuers(
    issuers_file: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    examples = re.findall(r"```toml\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    for example in examples:
        text = example.replace("/etc/placet/console-secret", str(secret))
        [issuer] = load_issuers(write(issuers_file, text))
        assert issuer.first
    assert len(examples) == 4


def test_a_file_that_is_not_there_is_named(issuers_file: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read: No such file"):
        load_issuers(issuers_file)


def test_a_secret_that_can_not_be_read_is_named(issuers_file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    line = f'sign_in = {{client_id = "a", client_secret_file = "{secret}"}}'
    with pytest.raises(ConfigurationError, match="secret can't be read: No such"):
        load_issuers(write(issuers_file, with_line(line)))
    secret.write_text(" s3cret\n")
    [issuer] = load_issuers(issuers_file)
    assert issuer.sign_in is not None
    assert issuer.sign_in.client_secret() == "s3cret"
