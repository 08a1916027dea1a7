"""The progress line: rewritten on a terminal, now and then in a log; and output on terminals that cannot show everything."""

import contextlib
import io
import os
import subprocess
import sys

import pytest

from backend.__main__ import main
from backend.settings import Settings
from backend.terminal import ProgressLine
from tests.conftest import ROOT


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def shown(monkeypatch):
    """What a terminal of twenty columns gets of some updates and the end."""

    def show(*updates):
        monkeypatch.setenv("COLUMNS", "20")
        with contextlib.redirect_stdout(Terminal()) as terminal:
            line = ProgressLine()
            for update in updates:
                line.update(update)
            line.end()
        return terminal.getvalue()

    return show


def test_a_line_is_rewritten_on_a_terminal(shown):
    assert shown("reading 1/9", "reading 2/9") == "\rreading 1/9\033[K\rreading 2/9\033[K\n"


def test_a_line_longer_than_the_terminal_is_cut(shown):
    assert shown("finetune_last-3-0: epoch 2 of 12") == "\rfinetune_last-3-0:>\033[K\n"


def test_a_log_gets_a_line_now_and_then_and_the_last(capsys):
    line = ProgressLine()
    for done in range(1, 1001):
        line.count("embedding", done, 1000)
    assert capsys.readouterr().out == "embedding ... 1/1000\nembedding ... 1000/1000\n"


@pytest.mark.parametrize("width", ["1", "20", "400"])
def test_help_fits_any_width(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", width)
    assert main(["connect", "--help"]) == 0
    assert "--project" in capsys.readouterr().out


def test_neither_input_nor_output_need_be_a_terminal(tmp_path):
    assert run(["settings"], DATA_DIR=str(tmp_path)).stdout.startswith("LABEL_STUDIO_URL=")


def run(arguments, **environment):
    plain = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    return subprocess.run(
        [sys.executable, "-m", "backend", *arguments],
        env=plain | {"PYTHONPATH": str(ROOT)} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_terminal_without_unicode_shows_what_it_can(tmp_path):
    done = run(["settings"], PYTHONIOENCODING="ascii", DATA_DIR=str(tmp_path / "Käfer"))
    assert done.returncode == 0
    assert "K\\xe4fer" in done.stdout
