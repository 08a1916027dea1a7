"""What `status` says of images that wait for another person."""

from contextlib import closing

import pytest

from backend.index.index import Index
from backend.status.people import NOBODY, people_text, people_values
from tests.backend.project.made_up import TARGET, annotation, task

ASKED, DONE = {"overlap": 2, "is_labeled": False}, {"overlap": 2, "is_labeled": True}


@pytest.fixture
def index(tmp_path):
    """An index with half-labelled tasks, and with ties, of which one is asked about."""
    with closing(Index(tmp_path / "index.sqlite")) as index:
        one, other = annotation("A", completed_by=1), annotation("B", completed_by=2)
        told = [task(1, one) | ASKED, task(2, one) | ASKED, task(3, one, other) | ASKED, task(4, one, other) | DONE]
        index.update([*told, task(5, one) | DONE, task(6) | ASKED], TARGET)
        yield index


def test_half_labelled_tasks_and_ties_are_counted_apart(index):
    index.set_note("ties_alone", "1")
    assert people_values(index) == {"half_labelled": 2, "ties_asked": 1, "ties_alone": 1}


def test_what_waits_is_told_with_the_next_step(index):
    index.set_note("ties_alone", "1")
    text = people_text(people_values(index))
    assert "2 labelled by fewer people than wanted" in text
    assert "1 tie about which one person more is asked" in text
    assert "1 tie that nobody else of Label Studio's people can settle: invite somebody" in text


def test_where_nothing_waits_nothing_is_told():
    assert people_text(NOBODY) == ""


def test_a_tie_that_was_settled_since_is_not_said_to_wait(index):
    index.set_note("ties_alone", "1")
    index.update([task(4, annotation("A", completed_by=1)) | DONE], TARGET)
    assert people_values(index)["ties_alone"] == 0
