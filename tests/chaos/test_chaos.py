"""Faults while somebody labels: each heals within seconds, no label is lost, and nobody ever meets a wrong queue."""

import statistics
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.house import House, wait_until
from tests.e2e.conftest import free_port
from tests.label_studio_in_memory import Fault, LabelStudioInMemory

IMAGES = 240  # more than are labelled before all has healed, on a busy machine too
HEALS_WITHIN = 90  # seconds; on a machine with nothing else to do it takes a tenth of that

FAULTS = {
    "500 for 6 s": lambda house: house.label_studio_answers(500, 6),
    "429 for 6 s": lambda house: house.label_studio_answers(429, 6),
    "kill -9 worker": lambda house: house.kill("worker", "al-train"),
    "kill -9 server": lambda house: house.kill("backend", "serve"),
    "kill -9 Redis": lambda house: house.kill("redis-server"),
    "kill -9 up": lambda house: house.kill_up(),
    "index damaged": lambda house: house.damage_index(),
    "NaN among the embeddings": lambda house: house.damage_embeddings(),
    "project.json damaged": lambda house: house.damage_state(),
    "answer to an import lost": lambda house: house.studio.faults.append(Fault("POST", "import/predictions", 502, done=True)),
}

DURING_A_ROUND = ("kill -9 worker", "kill -9 Redis", "kill -9 up")


@pytest.mark.soak
def test_every_fault_heals_and_no_label_is_lost(tmp_path, weights: Path):
    with LabelStudioInMemory() as studio:
        house = House(studio, tmp_path, free_port(), weights, IMAGES)
        try:
            house.plugin.start()
            connected = house.plugin.command("connect", "--project", str(house.project), capture=True)
            assert connected.returncode == 0, connected.stdout + connected.stderr
            with house.somebody_labels(every=1):
                times = {name: seconds_to_heal(house, name) for name in FAULTS}
            wait_until(lambda: house.learned() == house.labelled(), HEALS_WITHIN, "every label is learned in the end")
            time.sleep(3)
            print(f"\n{len(house.labelled())} labels; seconds until a version has learned all labels of the fault's time:")
            print("\n".join(f"  {name:<26} {seconds:5.1f}" for name, seconds in times.items()))
            print(f"  median {statistics.median(times.values()):.1f}, longest {max(times.values()):.1f}")
            assert house.wrong_queues == []
            stored = Counter((p["task"], p["model_version"]) for p in list(studio.predictions.values()))
            assert max(stored.values()) == 1, "a task has two predictions of one version"
            status = house.plugin.command("status", capture=True).stdout
            assert "last error" not in status, status
        finally:
            house.plugin.stop()
            print((tmp_path / "plugin.log").read_text()[-6000:])


def seconds_to_heal(house: House, name: str) -> float:
    """Break something; the time until the live version has learned every label that there was after it, and one more."""
    if name in DURING_A_ROUND:
        house.wait_for_a_round()
    started = time.monotonic()
    FAULTS[name](house)
    before = house.labelled()
    wait_until(lambda: len(house.labelled()) > len(before), HEALS_WITHIN, f"{name}: labelling goes on")
    wanted = house.labelled()
    wait_until(lambda: wanted <= house.learned(), HEALS_WITHIN, f"{name}: all labels of its time are learned")
    print(f"{name}: {time.monotonic() - started:.1f} s", flush=True)
    return time.monotonic() - started
