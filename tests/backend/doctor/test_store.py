"""The object store, as `doctor` looks at it."""

import pytest

from backend.doctor.case import House
from backend.doctor.examination import Check, examine
from backend.doctor.finding import OK, WRONG
from backend.doctor.plugin import store
from model.storage.bucket import Bucket


@pytest.fixture
def look(object_store, make_settings):
    """Looks at it; returns what was found."""
    settings = make_settings(store=object_store.new_folder(), redis_url="redis://127.0.0.1:1")

    def at(url=settings.store):
        case = House(settings.model_copy(update={"store": url}), [])
        (found,) = examine([Check("STORE", store)], case, set(), None, lambda _: None)
        return found

    return at


def test_one_that_answers_and_may_be_written_is_well_and_left_as_it_was(look):
    found = look()
    assert (found.state, found.seen[:5]) == (OK, "s3://")
    assert Bucket(found.seen).objects() == {}


def test_without_one_there_is_nothing_to_see(look):
    assert look("").state == OK


def test_one_that_is_not_there_is_told_with_the_next_step(look):
    found = look("s3://no-such-bucket-here/x")
    assert (found.state, "make it first" in found.seen) == (WRONG, True)


def test_one_that_does_not_answer_is_told_within_seconds_with_the_next_step(look, object_store):
    with object_store.away():
        found = look()
    assert (found.state, "see whether it answers" in found.seen) == (WRONG, True)


def test_one_that_lets_machines_overwrite_each_other_is_told(look, monkeypatch):
    write = Bucket.write
    monkeypatch.setattr(Bucket, "write", lambda bucket, name, data, **_: write(bucket, name, data))
    found = look()
    assert (found.state, "overwrite" in found.seen, "conditional writes" in found.next_step) == (WRONG, True, True)
