"""How the demo, the tests and `bench` start Label Studio."""

import re
from pathlib import Path

import pytest

from backend.bench.label_studio import REPORT_NOTHING, LabelStudioServer


@pytest.fixture
def started(tmp_path, monkeypatch):
    """A function that starts one with an environment; returns what its process was given."""
    given = {}
    monkeypatch.setattr(LabelStudioServer, "launch", lambda *launched: given.update(launched[2]))

    def start(**environment):
        LabelStudioServer(Path("venv"), tmp_path, 8080, environment).start()
        return given

    return start


def test_it_reports_nothing_to_anyone_whatever_else_it_is_told(started):
    assert started(USE_DEFAULT_BANNED_SUBNETS="true").items() > REPORT_NOTHING.items()


def test_it_finds_a_key_to_sign_with_that_it_can_read_back(started):
    kept = Path(started()["LABEL_STUDIO_BASE_DATA_DIR"]) / ".env"
    assert re.fullmatch(r"\s*SECRET_KEY=[0-9a-f]{64}\s*", kept.read_text())
