from pathlib import Path

import pytest

from api.settings import ConfigurationError, Settings, describe


def test_without_configuration_it_is_development_on_the_embedded_database() -> None:
    settings = Settings.read()
    assert settings.database_url is None
    assert settings.loopback
    assert settings.resolved_mode() == "development"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_addresses_leave_development_the_default(host: str) -> None:
    assert Settings.read(host=host).resolved_mode() == "development"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "placet.example.org"])
def test_an_address_that_others_reach_needs_a_mode(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"set PLACET_MODE, because other machines"):
        Settings.read(host=host).resolved_mode()
    assert Settings.read(host=host, mode="development").resolved_mode() == "development"
    assert Settings.read(host=host, mode="production").resolved_mode() == "production"


def test_a_database_of_ones_own_needs_a_mode() -> None:
    url = "postgresql://placet:hidden@localhost/placet"
    with pytest.raises(ConfigurationError, match=r"set PLACET_MODE, because PLACET_DATABASE_URL"):
        Settings.read(database_url=url).resolved_mode()
    assert Settings.read(database_url=url, mode="development").resolved_mode() == "development"


def test_the_environment_is_read_and_options_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACET_PORT", "9001")
    monkeypatch.setenv("PLACET_DATA", "/var/lib/placet")
    monkeypatch.setenv("PLACET_DATABASE_URL", "")
    settings = Settings.read(port=9002, host=None)
    assert settings.port == 9002
    assert settings.data == Path("/var/lib/placet")
    assert settings.database_url is None
    assert settings.host == "127.0.0.1"


def test_wrong_values_are_named_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACET_PORT", "eighty")
    monkeypatch.setenv("PLACET_MODE", "staging")
    with pytest.raises(ConfigurationError) as caught:
        Settings.read()
    assert "PLACET_PORT: " in str(caught.value)
    assert "PLACET_MODE: " in str(caught.value)
    assert "'development' or 'production'" in str(caught.value)


def test_a_pool_has_room_for_what_it_keeps_open() -> None:
    with pytest.raises(ConfigurationError, match=r"PLACET_POOL_MAX \(1\) is less"):
        Settings.read(pool_min=3, pool_max=1)


def test_a_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACET_DATABASE_URL", "mysql://placet:hidden@localhost/placet")
    with pytest.raises(ConfigurationError, match="not a connection string") as caught:
        Settings.read()
    assert "hidden" not in str(caught.value)
    settings = Settings.read(database_url="postgresql://placet:hidden@localhost/placet")
    assert "hidden" not in repr(settings)


def test_every_variable_is_described() -> None:
    text = describe()
    for name, field in Settings.model_fields.items():
        assert f"PLACET_{name.upper()} (default: " in text
        assert field.description is not None
        assert field.description in text


def test_settings_do_not_change() -> None:
    settings = Settings.read()
    with pytest.raises(ValueError, match="frozen"):
        setattr(settings, "port", 1)  # noqa: B010 - the type checker forbids the plain way


@pytest.mark.parametrize("url", ["https://placet.example.com/", "http://localhost:8000/placet"])
def test_links_begin_with_the_public_address(url: str) -> None:
    assert Settings.read(public_url=url).base_url == url.rstrip("/")
    assert Settings.read(host="::1", port=9000).base_url == "http://[::1]:9000"


@pytest.mark.parametrize("url", ["placet.example.com", "https://", "https://a@b", "https://a/?b"])
def test_a_public_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^PLACET_PUBLIC_URL: "):
        Settings.read(public_url=url)
