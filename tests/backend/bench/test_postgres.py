"""The measure of a large project on PostgreSQL, on a small one; and what it is made with."""

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from backend.bench import postgres
from backend.bench.figures import Bench, Skipped
from backend.bench.memory import FamilyPeak
from backend.settings import Settings
from tests.containers.postgres import WITHOUT_EXTENSIONS, programs
from tests.e2e.conftest import label_studio_venv

MIB = 2**20
GRANDCHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray({}); input()'])"


@pytest.fixture
def place():
    """A folder that PostgreSQL's user may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.soak
def test_each_part_takes_time_and_memory_and_leaves_nothing(place, weights, monkeypatch):
    installed, folder = place / "installed", place / "bench" / "measure"
    for made in (installed, folder):
        made.mkdir(parents=True)
    monkeypatch.setattr(postgres, "find_programs", lambda: programs(installed))
    monkeypatch.setattr(postgres, "IMPORT_QUICKLY", postgres.IMPORT_QUICKLY | WITHOUT_EXTENSIONS)
    command = label_studio_venv().absolute() / "bin" / "label-studio"
    bench = Bench(Settings(model_weights=weights), folder, ("postgres.round_foreign",), tasks=2000, label_studio=command)
    rows = {row.name: row for row in postgres.measure(bench)}
    assert list(rows) == [name for name in postgres.ROWS if "_foreign" in name]
    assert all(row.value > 0 for row in rows.values())
    assert all(0.05 < row.value < 3 for name, row in rows.items() if name.endswith(".memory"))
    assert {row.against for row in rows.values()} == {"2,000 tasks, each with a prediction by another-model"}
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("lacking", ["Label Studio", "PostgreSQL"])
def test_what_is_not_here_is_told_with_the_next_step(tmp_path, monkeypatch, lacking):
    monkeypatch.setattr(postgres, "find_programs", lambda: None if lacking == "PostgreSQL" else Path("/"))
    bench = Bench(Settings(), tmp_path)
    if lacking == "PostgreSQL":
        bench = replace(bench, label_studio=Path(sys.executable))
    with pytest.raises(Skipped, match=f"no {lacking} here: (name|install)"):
        next(postgres.measure(bench))


def test_the_peak_of_a_process_is_that_of_the_largest_below_it():
    process = subprocess.Popen([sys.executable, "-c", GRANDCHILD.format(200 * MIB)], stdin=subprocess.PIPE)
    try:
        with FamilyPeak(process.pid) as family:
            while family.peak < 200 * MIB:
                assert process.poll() is None
    finally:
        process.communicate(b"\n")
    assert 200 * MIB < family.peak < 400 * MIB
