"""`doctor` as it is typed: what it prints, and its exit status."""

import json

import pytest

from backend.__main__ import main
from backend.settings import get_settings
from tests.backend.doctor.conftest import house, make_place  # noqa: F401  its house


@pytest.fixture(autouse=True)
def _fresh_settings():
    yield
    get_settings.cache_clear()


def run(capsys, *arguments):
    """Run it; returns its exit status and what it printed."""
    capsys.readouterr()
    status = main(["doctor", *arguments])
    return status, capsys.readouterr().out


def test_a_healthy_house_has_a_line_for_each_link_and_status_0(house, capsys):  # noqa: F811
    status, text = run(capsys)
    lines = [line for line in text.splitlines() if line.startswith("ok ")]
    assert status == 0
    assert len(lines) >= 30
    assert f"\nProject {house.number}\n" in text
    assert text.endswith("\nAll is well.\n")


def test_a_broken_link_has_one_line_with_the_next_step_and_status_1(house, capsys):  # noqa: F811
    house.project["sampling"] = "Sequential sampling"
    status, text = run(capsys)
    (line,) = [line for line in text.splitlines() if line.startswith("wrong")]
    assert status == 1
    assert line.startswith("wrong    sampling          it is 'Sequential sampling'")
    assert line.endswith(f"Next: `al-backend doctor --project {house.number} --fix`")
    assert text.endswith("\n1 wrong; --fix can mend 1 of them.\n")


def test_a_warning_alone_is_no_failure(house, capsys):  # noqa: F811
    house.studio.sign_up_is_open = True
    status, text = run(capsys)
    assert (status, text.splitlines()[-1]) == (0, "1 warning.")


def test_fix_mends_and_says_how_much(house, capsys):  # noqa: F811
    house.project["sampling"] = "Sequential sampling"
    status, text = run(capsys, "--fix")
    assert (status, text.splitlines()[-1]) == (0, "1 mended.")
    assert house.project["sampling"] == "Uncertainty sampling"


def test_scripts_get_json_and_nothing_else(house, capsys):  # noqa: F811
    house.studio.webhooks.clear()
    status, text = run(capsys, "--json", "--project", str(house.number))
    told = json.loads(text)
    (hook,) = [found for found in told["findings"] if found["link"] == "webhook"]
    assert (status, told["well"]) == (1, False)
    assert (hook["state"], hook["project"], hook["fixable"]) == ("wrong", house.number, True)
    assert "no webhook to" in hook["seen"]


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_settings_that_cannot_be_are_the_first_link(capsys, monkeypatch, arguments):
    monkeypatch.setenv("PORT", "many")
    get_settings.cache_clear()
    status, text = run(capsys, *arguments)
    assert status == 1
    assert "PORT='many'" in text
    assert "settings" in text


def test_on_a_bare_machine_it_says_where_to_begin(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://127.0.0.1:1")
    get_settings.cache_clear()
    status, text = run(capsys)
    assert status == 1
    assert "No plugin has worked with DATA_DIR=" in text
    assert ".." not in text
    assert not (tmp_path / "data").exists()


def test_a_title_cannot_speak_to_the_terminal(house, capsys):  # noqa: F811
    house.project["title"] = "\x1b[2Jgone\nok all"
    _, text = run(capsys)
    assert "\x1b" not in text
    assert "\nok all" not in text
