"""Label Studio signs tokens with a key that it must find again at its next start."""

import os
import subprocess
from pathlib import Path

import pytest

from backend.bench.label_studio import keep_secret_key
from tests.containers.files import VALUES, read_compose
from tests.e2e.conftest import label_studio_venv

# Label Studio's own function, with a key that its random choice gives one installation in fifty.
READ_KEY = """
import sys
from pathlib import Path
import label_studio
sys.path.insert(0, str(Path(label_studio.__file__).parent))
from core.utils import secret_key
secret_key.get_random_secret_key = lambda: "$" + secret_key.os.urandom(24).hex()
print(secret_key.generate_secret_key_if_missing(sys.argv[1]))
"""


def key_of_a_start(folder: Path) -> str:
    """The key with which a Label Studio that starts in `folder` signs."""
    command = [label_studio_venv() / "bin" / "python", "-c", READ_KEY, folder]
    environment = {name: value for name, value in os.environ.items() if name not in ("SECRET_KEY", "PYTHONPATH")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def start_in_a_container(folder: Path) -> None:
    """Run the command of docker-compose.yml, in which Label Studio itself says just how it was started."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "label-studio").write_text('#!/bin/sh\necho "$@"; umask\n')
    (programs / "label-studio").chmod(0o755)
    command = read_compose(VALUES)["services"]["label-studio"]["command"]
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "LABEL_STUDIO_BASE_DATA_DIR": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60, umask=0o022)
    assert done.stdout.splitlines() == ["start --no-browser --internal-host 0.0.0.0 --port 8080", "0022"]


MADE_BY = {"the demo, tests and bench": keep_secret_key, "docker-compose.yml": start_in_a_container}


@pytest.fixture(params=MADE_BY.values(), ids=MADE_BY)
def make_key(request):
    """What makes a key in Label Studio's data folder."""
    return request.param


def test_a_key_that_label_studio_makes_itself_may_be_another_at_its_next_start(tmp_path):
    """Why we make one; should this fail, Label Studio has mended it."""
    assert key_of_a_start(tmp_path) != key_of_a_start(tmp_path)


def test_it_signs_with_one_key_from_start_to_start(tmp_path, make_key):
    seen = []
    for _ in range(2):
        make_key(tmp_path)
        seen.append(key_of_a_start(tmp_path))
    assert len(set(seen)) == 1
    assert len(seen[0]) >= 50  # as long as Django wants it
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0  # whoever reads it makes tokens for anyone


def test_each_installation_has_a_key_of_its_own(tmp_path, make_key):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        make_key(folder)
    assert key_of_a_start(folders[0]) != key_of_a_start(folders[1])


def test_a_key_that_is_there_stays_and_so_do_its_tokens(tmp_path, make_key):
    (tmp_path / ".env").write_text("OTHER=1\n\nSECRET_KEY=(of-before)")
    make_key(tmp_path)
    assert key_of_a_start(tmp_path) == "(of-before)"


def test_what_else_the_file_says_stays(tmp_path, make_key):
    (tmp_path / ".env").write_text("OTHER=1")  # without an end of the line
    make_key(tmp_path)
    assert (tmp_path / ".env").read_text().startswith("OTHER=1\nSECRET_KEY=")
