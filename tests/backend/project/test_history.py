"""What is known of versions that are not on disk any more."""

import numpy as np
import pytest

from backend.project import history
from backend.project.history import FILE, History
from model.version_store import Version, VersionStore

NONE = np.zeros(0, np.int64)
GAIN = {"labels": 50, "macro_f1": 0.01, "interval": (-0.01, 0.03)}
MEASURED = {"n": 40, "effective": 35.5, "macro_f1": 0.8, "interval": (0.7, 0.9), "enough": True, "unjudged": 3, "gain": GAIN}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "project"


def write(folder, number, labels=None, metrics=MEASURED):
    """A version on disk that learned `labels` labels, ten a version where they are not given."""
    learned = np.arange(10 * number if labels is None else labels)
    name = f"al-{number}-00000a"
    VersionStore(folder / "versions").write(
        Version(name, float(number), {}, "base", "margin", None, learned, learned, 0, metrics)
    )
    return name


def follow(folder, *numbers):
    for number in numbers:
        History(folder).add(write(folder, number))


def labels(folder):
    return [entry.labels for entry in History(folder).entries()]


def test_it_outlives_the_versions(folder):
    follow(folder, 1, 2, 3)
    VersionStore(folder / "versions").prune(1, [])
    assert labels(folder) == [10, 20, 30]
    first = History(folder).entries()[0]
    assert (first.macro_f1, first.interval, first.random_slots, first.effective) == (0.8, (0.7, 0.9), 40, 35.5)
    assert first.gain
    assert first.gain.model_dump() == GAIN


def test_a_project_older_than_its_history_has_the_versions_on_disk(folder):
    for number in (1, 2):
        write(folder, number)
    assert labels(folder) == [10, 20]
    follow(folder, 3)
    VersionStore(folder / "versions").prune(0, [])
    assert labels(folder) == [10, 20, 30]


def test_a_version_that_was_never_followed_has_no_part_in_it(folder):
    follow(folder, 1)
    write(folder, 2)
    follow(folder, 3)
    assert labels(folder) == [10, 30]


def test_going_back_to_a_version_and_on_again_adds_nothing(folder):
    follow(folder, 1, 2)
    History(folder).add("al-1-00000a")
    History(folder).add("al-2-00000a")
    assert labels(folder) == [10, 20]


def test_versions_of_earlier_days_are_in_it_with_what_they_knew(folder):
    write(folder, 1, metrics={})
    write(folder, 2, metrics={"n": 5, "macro_f1": 0.5, "interval": (0.2, 0.8)})
    assert [(entry.macro_f1, entry.effective) for entry in History(folder).entries()] == [(None, 0), (0.5, 5)]


@pytest.mark.parametrize("damage", [b"{", b"null", b"[]", b'{"name": 3}', b"\xff\xfe", b'{"macro_f1": NaN}', b"[" * 100_000])
def test_a_damaged_line_costs_itself_alone(folder, damage):
    follow(folder, 1, 2, 3)
    lines = (folder / FILE).read_bytes().splitlines()
    (folder / FILE).write_bytes(b"\n".join([lines[0], damage, lines[2]]))
    VersionStore(folder / "versions").prune(0, [])
    assert labels(folder) == [10, 30]


def test_a_file_that_is_damaged_whole_is_made_again_from_the_versions_on_disk(folder):
    follow(folder, 1, 2)
    (folder / FILE).write_bytes(bytes(1000))
    assert labels(folder) == [10, 20]
    follow(folder, 3)
    VersionStore(folder / "versions").prune(0, [])
    assert labels(folder) == [10, 20, 30]


def test_it_stays_small_and_keeps_its_ends(folder, monkeypatch):
    monkeypatch.setattr(history, "MOST", 8)
    follow(folder, *range(1, 13))
    assert len(labels(folder)) <= 8
    assert labels(folder)[0] == 10
    assert labels(folder)[-3:] == [100, 110, 120]
