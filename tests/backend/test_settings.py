"""Settings: defaults that are safe, and errors that name what is wrong."""

import traceback
from pathlib import Path

import pytest

from backend import settings as module
from backend.__main__ import main
from backend.misspelt import OTHERS, misspelt
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
    assert Settings(retrain_after=7).queue_size == 42


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


def test_the_page_on_settings_explains_every_one():
    page = (ROOT / "docs" / "settings.md").read_text()
    assert [name for name in Settings.model_fields if f"`{name.upper()}`" not in page] == []


@pytest.mark.parametrize("name", ["margin", "badge+distinct", "typiclust+distinct+balanced"])
def test_a_strategy_may_be_wrapped(monkeypatch, name):
    monkeypatch.setenv("STRATEGY", name)
    assert get_settings().strategy == name


@pytest.mark.parametrize("name", ["best", "margin+wide", "nowhere:function"])
def test_an_unknown_strategy_is_refused_with_what_there_is(monkeypatch, name):
    monkeypatch.setenv("STRATEGY", name)
    with pytest.raises(SettingsError, match=r"^STRATEGY=.*(There are: .*random|There are: .*\+distinct|cannot be imported)"):
        get_settings()


def from_environment(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    return get_settings()


def refused(monkeypatch, **values):
    """What is said about settings that cannot be."""
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        get_settings()
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("LABEL_STUDIO_URL", " http://studio:8080/\n", "http://studio:8080"),
        ("REDIS_URL", "redis://localhost:6379/0\r\n", "redis://localhost:6379/0"),
        ("RETRAIN_AFTER", " 7\n", 7),
        ("DATA_DIR", "/srv/data \n", Path("/srv/data")),
        ("STRATEGY", "margin\t", "margin"),
        ("LOG_LEVEL", " debug", "DEBUG"),
    ],
)
def test_spaces_and_newlines_around_a_value_are_cut(monkeypatch, name, value, read):
    assert getattr(from_environment(monkeypatch, name, value), name.lower()) == read


@pytest.mark.parametrize("host", ["a..b", "a" * 64, ".example"])
def test_a_host_that_no_name_can_be_is_refused(monkeypatch, host):
    assert "host or a port that cannot be" in refused(monkeypatch, LABEL_STUDIO_URL=f"http://{host}:8080")


def test_spaces_and_newlines_around_a_token_are_cut(monkeypatch):
    assert from_environment(monkeypatch, "LABEL_STUDIO_API_KEY", " abc\n").label_studio_api_key.get_secret_value() == "abc"
    assert Settings(label_studio_api_key="abc\n").label_studio_api_key.get_secret_value() == "abc"


def test_a_blank_value_counts_as_not_set(monkeypatch):
    assert from_environment(monkeypatch, "RETRAIN_AFTER", "  \n").retrain_after == 10


def test_label_studio_s_own_name_for_its_address_is_read(monkeypatch):
    assert from_environment(monkeypatch, "LABEL_STUDIO_HOST", "https://studio.example.com/").label_studio_url == (
        "https://studio.example.com"
    )


def test_our_name_for_the_address_goes_before_label_studio_s(monkeypatch):
    monkeypatch.setenv("LABEL_STUDIO_HOST", "http://theirs:8080")
    assert from_environment(monkeypatch, "LABEL_STUDIO_URL", "http://ours:8080").label_studio_url == "http://ours:8080"


@pytest.mark.parametrize("address", ["http://studio:8080/projects/4/data?tab=3", "http://studio:8080/projects/"])
def test_the_address_of_a_page_is_refused_with_that_of_the_site(monkeypatch, address):
    said = refused(monkeypatch, LABEL_STUDIO_URL=address.partition("?")[0])
    assert said.endswith("is the address of a page of it: set http://studio:8080")


@pytest.mark.parametrize(
    "address",
    ["studio:8080", "ftp://studio", "http://", "http://studio:0", "http://studio:80800", "http://a b", "http://h?x=1"],
)
def test_what_is_no_address_is_named(monkeypatch, address):
    assert refused(monkeypatch, LABEL_STUDIO_URL=address).startswith("LABEL_STUDIO_URL or LABEL_STUDIO_HOST=")
    get_settings.cache_clear()
    monkeypatch.delenv("LABEL_STUDIO_URL")
    assert refused(monkeypatch, BACKEND_URL=address).startswith("BACKEND_URL=")


PASSWORD = "pa55word"


@pytest.mark.parametrize("wrong", ["{}#x", "{}@x", "{}/x", "{}?x", "{}[x"])
def test_a_sign_in_redis_s_password_that_must_be_escaped_is_said_and_not_shown(monkeypatch, wrong):
    said = refused(monkeypatch, REDIS_URL=f"redis://:{wrong.format(PASSWORD)}@localhost:6379/0")
    assert "REDIS_URL: " in said
    assert "%23 for #" in said
    assert PASSWORD not in said


@pytest.mark.parametrize(
    "address",
    ["redis://localhost", "rediss://:pa%2355@h:6379/1", "redis://u:p:w@h/0?protocol=3", "unix:///run/redis.sock?db=1", ""],
)
def test_an_address_that_redis_can_have_is_taken_as_it_is(address):
    assert Settings(redis_url=address).redis_url == address


@pytest.mark.parametrize("database", ["abc", "-1", "0/1"])
def test_a_database_of_redis_that_is_no_number_is_said(monkeypatch, database):
    assert "no number" in refused(monkeypatch, REDIS_URL=f"redis://localhost:6379/{database}")


@pytest.mark.parametrize(
    "values",
    [
        {"REDIS_URL": f"redi://:{PASSWORD}@h"},
        {"REDIS_URL": f"redis://:{PASSWORD}@h:port"},
        {"LABEL_STUDIO_URL": f"http://u:{PASSWORD}@h"},
        {"LABEL_STUDIO_URL": f"http://u:#/ {PASSWORD}@h"},
        {"BACKEND_URL": f"http://u:{PASSWORD}@h"},
        {"ALLOWED_HOSTS": f"u:{PASSWORD}@h"},
        {"LABEL_STUDIO_API_KEY": f"Token {PASSWORD}"},
        {"LABEL_STUDIO_API_KEY": f"{PASSWORD}\u20ac"},
        {"BASIC_AUTH_USER": "u", "BASIC_AUTH_PASS": f"{PASSWORD}\u20ac"},
        {"BASIC_AUTH_PASS": PASSWORD},
    ],
)
def test_no_error_repeats_a_secret_nor_does_what_caused_it(monkeypatch, values):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        get_settings()
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_neither_the_settings_command_nor_a_repr_shows_a_secret(monkeypatch, capsys):
    monkeypatch.setenv("REDIS_URL", f"redis://:{PASSWORD}@h/0?password={PASSWORD}")
    monkeypatch.setenv("BASIC_AUTH_USER", "u")
    monkeypatch.setenv("BASIC_AUTH_PASS", PASSWORD)
    assert main(["settings"]) == 0
    assert PASSWORD not in "".join(capsys.readouterr()) + repr(get_settings())


def test_a_folder_with_an_at_sign_is_shown_as_it_is():
    assert Settings(data_dir=Path("/srv/a@b")).shown("data_dir") == "/srv/a@b"


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        ("images.example.com:8443", {"images.example.com"}),
        ("https://Images.example.com/photos, 10.0.0.7", {"images.example.com", "10.0.0.7"}),
        ("a.org b.org.", {"a.org", "b.org"}),
        ("[fd00::1]:80,fd00::2,http://[fd00::3]:1/", {"fd00::1", "fd00::2", "fd00::3"}),
        (" , ", set()),
    ],
)
def test_allowed_hosts_are_hosts_however_they_are_written(value, hosts):
    assert Settings(allowed_hosts=value).hosts == hosts


@pytest.mark.parametrize("value", ["10.0.0.0/8", "*.example.com", "http://", "a.org:port"])
def test_what_is_no_host_is_refused(monkeypatch, value):
    assert refused(monkeypatch, ALLOWED_HOSTS=value).startswith(f"ALLOWED_HOSTS={value!r}: names hosts such as")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXPLORE", "1.5"),
        ("EXPLORE", "nan"),
        ("IMAGE_SECONDS", "inf"),
        ("PORT", "70000"),
        ("RETRAIN_AFTER", "0"),
        ("QUIET_SECONDS", "1e12"),
        ("FINETUNE", "first"),
        ("LOG_LEVEL", "loud"),
        ("DATA_DIR", "~nobody-of-this-name/data"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_setting(monkeypatch, name, value):
    assert refused(monkeypatch, **{name: value}).startswith(f"{name}=")


def test_weights_may_lie_in_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert from_environment(monkeypatch, "MODEL_WEIGHTS", "~/resnet50.pth").model_weights == Path("/home/ada/resnet50.pth")


def test_a_backend_url_that_leads_past_the_server_is_doubted():
    (said,) = Settings(backend_url="http://localhost:9090", port=9191).doubts()
    assert "port 9090" in said
    assert "PORT=9191" in said
    assert Settings(backend_url="http://server.example.com", port=9191).doubts() == []  # a proxy stands there
    assert Settings(port=9191).doubts() == []


@pytest.mark.parametrize("text", ["\ufeffRETRAIN_AFTER=4\r\nPORT=9191\r\n", "RETRAIN_AFTER = '4' \nexport PORT=9191"])
def test_a_dotenv_file_may_come_from_any_editor(tmp_path, text):
    (tmp_path / ".env").write_bytes(text.encode())
    assert (get_settings().retrain_after, get_settings().port) == (4, 9191)


def test_a_dotenv_file_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / ".env").write_text("RETRAIN_AFTER=4", "utf-16")
    with pytest.raises(SettingsError, match=r"\.env is not in UTF-8"):
        get_settings()


def told(folder, **environment):
    return misspelt(Settings.model_fields, environment, folder / ".env")


def test_a_setting_misspelt_in_dotenv_is_told_the_nearest(tmp_path):
    (tmp_path / ".env").write_text("RETRAIN_AFTR=4\nPROT=1\nDATADIR=/x\nfinetune-growth=3\n")
    said = "\n".join(told(tmp_path))
    for wrong, right in (("RETRAIN_AFTR", "RETRAIN_AFTER"), ("DATADIR", "DATA_DIR"), ("FINETUNE-GROWTH", "FINETUNE_GROWTH")):
        assert f"{wrong} is no setting. Did you mean {right}?" in said


def test_a_name_in_dotenv_that_begins_like_ours_is_told(tmp_path):
    (tmp_path / ".env").write_text("QUEUE_LENGTH=4\n")
    assert "QUEUE_LENGTH is no setting" in told(tmp_path)[0]


def test_only_near_misses_are_told_of_the_environment(tmp_path):
    assert "Did you mean RETRAIN_AFTER?" in told(tmp_path, RETRAIN_AFTR="4")[0]
    ordinary = (
        "HOSTNAME HOSTS PORTS XDG_DATA_DIRS LOG_FORMAT QUEUE_LENGTH MODEL PATH REDIS_HOST POSTGRES_HOST LABEL_STUDIO_USERNAME"
    )
    assert told(tmp_path, **dict.fromkeys(ordinary.split(), "x")) == []


def test_no_name_of_the_example_file_is_taken_for_a_slip(tmp_path):
    (tmp_path / ".env").write_text((ROOT / ".env.example").read_text().replace("\n#", "\n"))
    assert told(tmp_path) == []
    assert {name.upper() for name in Settings.model_fields}.isdisjoint(OTHERS)


def test_a_dotenv_file_that_is_a_folder_is_said(tmp_path):
    (tmp_path / ".env").mkdir()
    assert "is a folder: no setting is read from it" in told(tmp_path)[0]
    assert get_settings().port == 9090


def test_a_command_warns_of_a_misspelt_setting_once_and_goes_on(tmp_path, capsys):
    (tmp_path / ".env").write_text("RETRAIN_AFTR=4\n")
    assert main(["settings"]) == 0
    assert capsys.readouterr().err == "warning: .env: RETRAIN_AFTR is no setting. Did you mean RETRAIN_AFTER?\n"


@pytest.mark.parametrize("value", ["pa55\nword", "pa55\x00word", "pa55\u200bword"])
def test_a_character_that_cannot_be_seen_is_said_and_the_value_is_not(tmp_path, value):
    (tmp_path / ".env").write_text(f'LABEL_STUDIO_API_KEY="{value}"\n')
    with pytest.raises(SettingsError, match=r"^LABEL_STUDIO_API_KEY holds a line break or another character") as caught:
        get_settings()
    assert "pa55" not in str(caught.value)
