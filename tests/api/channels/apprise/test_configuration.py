"""The file of PLACET_APPRISE, and what is said if something is wrong with it."""

import sys
from pathlib import Path

import pytest

from api.channels.apprise.configuration import load_apprise
from api.settings import ConfigurationError


def written(directory: Path, text: str) -> Path:
    file = directory / "apprise.toml"
    file.write_text(text)
    return file


def test_groups_and_people_have_urls(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '[groups]\n"cafe\u0301 " = ["json://localhost/a", "ntfy://ntfy.example/b"]\n'
        '[people]\nann = ["json://localhost/c"]\n',
    )
    urls = load_apprise(file)
    assert urls is not None
    assert urls.groups == {"caf\u00e9": ("json://localhost/a", "ntfy://ntfy.example/b")}
    assert urls.people == {"ann": ("json://localhost/c",)}
    assert load_apprise(None) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("groups =", "is not TOML"),
        ("[group]\na = []", "group: Extra inputs are not permitted"),
        ('[groups]\nfinance = "json://localhost"', "groups.finance: Input should be a valid list"),
        (
            '[groups]\nfinance = ["json://localhost", "nonsense://secret"]',
            "URL 2 of groups.finance is none that the library apprise knows",
        ),
        ('[people]\nann = []\n"ann " = []', "people.ann  is there twice"),
    ],
)
def test_what_is_wrong_is_named_without_a_url(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        load_apprise(written(tmp_path, text))
    assert str(error.value).startswith("PLACET_APPRISE: ")
    assert says in str(error.value)
    assert "secret" not in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.toml can't be read"):
        load_apprise(tmp_path / "missing.toml")


def test_without_the_library_it_is_said_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'placet-server\[apprise\]'"):
        load_apprise(written(tmp_path, ""))
    assert load_apprise(None) is None, "it is not needed without a file"
