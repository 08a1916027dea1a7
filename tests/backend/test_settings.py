"""Settings: defaults that are safe, and errors that name what is wrong."""

import pytest

from backend import settings as module
from backend.__main__ import main
from backend.settings import Settings, SettingsError, get_settings
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _fresh():
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_without_credentials_the_server_listens_on_loopback():
    assert Settings().host == "127.0.0.1"


def test_with_credentials_it_listens_everywhere():
    assert Settings(basic_auth_user="u", basic_auth_pass="p").host == "0.0.0.0"  # noqa: S104


def test_an_open_address_without_credentials_is_refused(monkeypatch):
    monkeypatch.setenv("HOST", "0.0.0.0")  # noqa: S104
    with pytest.raises(SettingsError, match=r"HOST=0.0.0.0 is not loopback.*BASIC_AUTH_USER"):
        get_settings()


@pytest.mark.parametrize("host", ["localhost", "::1", "127.0.0.2"])
def test_any_loopback_address_is_fine_without_credentials(host):
    assert Settings(host=host).host == host


def test_half_of_the_credentials_is_refused(monkeypatch):
    monkeypatch.setenv("BASIC_AUTH_USER", "u")
    with pytest.raises(SettingsError, match=r"^Set both"):
        get_settings()


def test_the_queue_is_twenty_rounds_long_by_default():
    assert Settings(retrain_after=7).queue_size == 140


def test_the_dotenv_file_is_read_and_the_environment_wins(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("RETRAIN_AFTER=4\nPORT=9191\n")
    monkeypatch.setenv("PORT", "9292")
    settings = get_settings()
    assert (settings.retrain_after, settings.port) == (4, 9292)


def test_a_wrong_value_is_named_with_its_setting(monkeypatch):
    monkeypatch.setenv("STRATEGY", "hardest")
    with pytest.raises(SettingsError, match=r"STRATEGY='hardest'.*margin"):
        get_settings()


def test_the_command_lists_every_setting_and_no_secret(monkeypatch, capsys):
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "very-secret")
    assert main(["settings"]) == 0
    printed = capsys.readouterr().out
    assert all(f"{name.upper()}=" in printed for name in module.Settings.model_fields)
    assert "very-secret" not in printed


def test_the_readme_explains_every_setting():
    readme = (ROOT / "README.md").read_text()
    assert [name for name in Settings.model_fields if f"`{name.upper()}`" not in readme] == []


@pytest.mark.parametrize("name", ["margin", "badge+distinct", "typiclust+distinct+balanced"])
def test_a_strategy_may_be_wrapped(monkeypatch, name):
    monkeypatch.setenv("STRATEGY", name)
    assert get_settings().strategy == name


@pytest.mark.parametrize("name", ["best", "margin+wide", "nowhere:function"])
def test_an_unknown_strategy_is_refused_with_what_there_is(monkeypatch, name):
    monkeypatch.setenv("STRATEGY", name)
    with pytest.raises(SettingsError, match=r"^STRATEGY=.*(There are: .*random|There are: .*\+distinct|cannot be imported)"):
        get_settings()
