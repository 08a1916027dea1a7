"""Several processes, and runs that were stopped."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from backend.simulate import store as module
from backend.simulate.curves import Curve
from backend.simulate.protocol import Protocol
from backend.simulate.store import CurveStore, Trial, code_digest
from tests.backend.simulate.made_up import MARGIN, RANDOM, clusters
from tests.conftest import ROOT

PROTOCOL = Protocol(start=6, batch=4, rounds=3)
CURVE = Curve([6, 10], [0.5, 0.6], [0.1, 0.1], [1, 2])


def finished(place):
    return sorted(place.cache.glob("curves/*/*-*.json"))


def test_two_processes_find_what_one_finds(simulate):
    one = simulate("--strategies", "margin", "default")
    two = simulate("--strategies", "margin", "default", "--jobs", "2", "--fresh")
    assert two.status == 0
    assert two.json == one.json


def test_processes_leave_no_shared_file_behind_and_clean_up_after_a_killed_run(simulate, place):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    (place.cache / "shared").mkdir(parents=True)
    (place.cache / "shared" / f"{int(dead.stdout)}.npy").touch()
    assert simulate("--jobs", "2").status == 0
    assert list((place.cache / "shared").iterdir()) == []


def test_another_run_takes_up_finished_curves_and_fresh_does_not(simulate, place):
    first = simulate()
    times = {path: path.stat().st_mtime_ns for path in finished(place)}
    again = simulate()
    assert "6 of 6 curves are there from before" in again.out
    assert again.json == first.json
    assert {path: path.stat().st_mtime_ns for path in finished(place)} == times
    assert "from before" not in simulate("--fresh").out
    assert {path: path.stat().st_mtime_ns for path in finished(place)}.keys() == times.keys()
    assert all(path.stat().st_mtime_ns > before for path, before in times.items())


def test_each_baseline_keeps_the_curves_of_its_own_embeddings(simulate, place):
    simulate("--standard")
    methods = {
        frozenset(path.name.split("-")[0] for path in folder.glob("*-*.json")) for folder in place.cache.glob("curves/*")
    }
    assert methods == {frozenset({"random", "margin", "ceiling"}), frozenset({"random"})}


def test_more_seeds_run_only_what_is_new(simulate):
    simulate()
    assert "6 of 9 curves are there from before" in simulate("--seeds", "3").out


@pytest.mark.parametrize("option", [["--start", "7"], ["--test", "0.4"], ["--imbalance", "meat=0.5"]])
def test_another_protocol_shares_no_curve(simulate, option):
    simulate()
    assert "from before" not in simulate(*option).out


def test_a_broken_file_is_run_again(simulate, place):
    first = simulate()
    finished(place)[0].write_text("{")
    assert "5 of 6 curves" in (again := simulate()).out
    assert again.json == first.json


def test_a_killed_run_goes_on_and_comes_to_the_same(simulate, place):
    long = ["--seeds", "3", "--rounds", "8"]
    command = [
        sys.executable,
        "-m",
        "backend",
        "simulate",
        str(place.folder),
        "--start",
        "6",
        "--batch",
        "4",
        "--jobs",
        "2",
        *long,
    ]
    command += ["--strategies", "margin", "--cache", str(place.cache), "--weights", str(place.weights)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 240
    while not finished(place) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait_until_gone(process.pid, deadline)
    before = len(finished(place))
    assert 0 < before < 9
    resumed = simulate(*long)
    assert f"{before} of 9 curves are there from before" in resumed.out
    assert resumed.json == simulate(*long, "--fresh").json


def _wait_until_gone(group, deadline):
    """No process of the killed one lives on."""
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("processes outlived the killed command")


def test_a_curve_is_kept_and_found_again(tmp_path):
    store = CurveStore(tmp_path, clusters(), PROTOCOL)
    assert store.get(Trial(MARGIN, 0)) is None
    store.put(Trial(MARGIN, 0), CURVE)
    assert store.get(Trial(MARGIN, 0)) == CURVE
    assert store.get(Trial(MARGIN, 1)) is None
    assert store.get(Trial(RANDOM, 0)) is None


def test_other_images_have_other_curves(tmp_path):
    CurveStore(tmp_path, clusters(), PROTOCOL).put(Trial(MARGIN, 0), CURVE)
    assert CurveStore(tmp_path, clusters(apart=0.6), PROTOCOL).get(Trial(MARGIN, 0)) is None


def test_other_code_has_other_curves(tmp_path, monkeypatch):
    CurveStore(tmp_path, clusters(), PROTOCOL).put(Trial(MARGIN, 0), CURVE)
    code_digest.cache_clear()
    monkeypatch.setattr(module, "CODE", (*module.CODE, "backend/terminal.py"))
    assert CurveStore(tmp_path, clusters(), PROTOCOL).get(Trial(MARGIN, 0)) is None
    code_digest.cache_clear()


def test_what_a_curve_depends_on_is_code_that_is_there():
    files = {path for pattern in module.CODE for path in module.ROOT.glob(pattern)}
    assert {path.name for path in files} >= {"margin.py", "head.py", "rounds.py", "curves.py"}


def test_a_user_s_own_strategy_has_its_module_in_the_key(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_strategy_a.py").write_text("x = 1")
    before = code_digest("own_strategy_a:pick+distinct")
    code_digest.cache_clear()
    (tmp_path / "own_strategy_a.py").write_text("x = 2")
    assert code_digest("own_strategy_a:pick+distinct") != before
    assert code_digest("margin") not in (before, code_digest("own_strategy_a:pick"))


def test_the_digest_of_images_sees_every_array():
    images = clusters()
    digests = {images.digest, clusters(apart=0.6).digest, clusters(test=[1]).digest, clusters(copies=1).digest}
    relabelled = images.only(np.arange(120), images.embeddings)
    relabelled.labels[0] = 1 - relabelled.labels[0]
    assert len(digests | {relabelled.digest}) == 5
