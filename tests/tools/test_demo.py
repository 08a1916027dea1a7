"""What the demo prints to type in another terminal is about the demo's own plugin."""

import os
import subprocess

from backend.settings import Settings
from tools.demo import command_in, keep_settings


def test_the_printed_command_uses_the_demo_s_settings_and_no_others(tmp_path):
    folder = tmp_path / "a demo's data"
    folder.mkdir()
    keep_settings(folder, {"DATA_DIR": str(folder), "PORT": "9191", "LABEL_STUDIO_API_KEY": "secret"})
    plain = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    command = command_in(folder, "settings")
    said = subprocess.run(command, shell=True, cwd=tmp_path, env=plain, capture_output=True, text=True, check=True).stdout  # noqa: S602
    assert f"DATA_DIR={folder}\n" in said
    assert "PORT=9191\n" in said
    assert "LABEL_STUDIO_API_KEY=**********\n" in said


def test_the_settings_are_for_this_user_alone(tmp_path):
    keep_settings(tmp_path, {"LABEL_STUDIO_API_KEY": "secret"})
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
