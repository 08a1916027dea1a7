"""What is known of versions that are not on disk any more."""

import numpy as np
import pytest

from backend.records import history
from backend.records.history import FILE, History
from model.version_store import Version, VersionStore

NONE = np.zeros(0, np.int64)
GAIN = {"labels": 50, "macro_f1": 0.01, "interval": (-0.01, 0.03)}
MEASURED = {"n": 40, "effective": 35.5, "macro_f1": 0.8, "interval": (0.7, 0.9), "enough": True, "unjudged": 3, "gain": GAIN}


class Place:
    """Where a project's history and versions lie."""

    def __init__(self, documents, folder):
        self.documents, self.versions = documents, VersionStore(folder)
        self.history = History(documents, self.versions)


@pytest.fixture
def place(documents, tmp_path):
    return Place(documents, tmp_path / "versions")


def write(place, number, labels=None, metrics=MEASURED):
    """A version on disk that learned `labels` labels, ten a version where they are not given."""
    learned = np.arange(10 * number if labels is None else labels)
    name = f"al-{number}-00000a"
    place.versions.write(Version(name, float(number), {}, "base", "margin", None, learned, learned, 0, metrics))
    return name


def follow(place, *numbers):
    for number in numbers:
        place.history.add(write(place, number))


def labels(place):
    return [entry.labels for entry in place.history.entries()]


def test_it_outlives_the_versions(place):
    follow(place, 1, 2, 3)
    place.versions.prune(1, [])
    assert labels(place) == [10, 20, 30]
    first = place.history.entries()[0]
    assert (first.macro_f1, first.interval, first.random_slots, first.effective) == (0.8, (0.7, 0.9), 40, 35.5)
    assert first.gain
    assert first.gain.model_dump() == GAIN


def test_a_project_older_than_its_history_has_the_versions_on_disk(place):
    for number in (1, 2):
        write(place, number)
    assert labels(place) == [10, 20]
    follow(place, 3)
    place.versions.prune(0, [])
    assert labels(place) == [10, 20, 30]


def test_a_version_that_was_never_followed_has_no_part_in_it(place):
    follow(place, 1)
    write(place, 2)
    follow(place, 3)
    assert labels(place) == [10, 30]


def test_going_back_to_a_version_and_on_again_adds_nothing(place):
    follow(place, 1, 2)
    place.history.add("al-1-00000a")
    place.history.add("al-2-00000a")
    assert labels(place) == [10, 20]


def test_versions_of_earlier_days_are_in_it_with_what_they_knew(place):
    write(place, 1, metrics={})
    write(place, 2, metrics={"n": 5, "macro_f1": 0.5, "interval": (0.2, 0.8)})
    assert [(entry.macro_f1, entry.effective) for entry in place.history.entries()] == [(None, 0), (0.5, 5)]


@pytest.mark.parametrize("damage", [b"{", b"null", b"[]", b'{"name": 3}', b"\xff\xfe", b'{"macro_f1": NaN}', b"[" * 100_000])
def test_a_damaged_line_costs_itself_alone(place, damage):
    follow(place, 1, 2, 3)
    lines = place.documents.read(FILE).splitlines()
    place.documents.write(FILE, b"\n".join([lines[0], damage, lines[2]]))
    place.versions.prune(0, [])
    assert labels(place) == [10, 30]


def test_a_file_that_is_damaged_whole_is_made_again_from_the_versions_on_disk(place):
    follow(place, 1, 2)
    place.documents.write(FILE, bytes(1000))
    assert labels(place) == [10, 20]
    follow(place, 3)
    place.versions.prune(0, [])
    assert labels(place) == [10, 20, 30]


def test_it_stays_small_and_keeps_its_ends(place, monkeypatch):
    monkeypatch.setattr(history, "MOST", 8)
    follow(place, *range(1, 13))
    assert len(labels(place)) <= 8
    assert labels(place)[0] == 10
    assert labels(place)[-3:] == [100, 110, 120]
