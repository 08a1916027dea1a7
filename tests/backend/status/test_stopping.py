"""The sentence by which people decide when to stop."""

import pytest

from backend.status.stopping import stopping_text

LIVE = {
    "name": "al-3-abc",
    "labels": 100,
    "macro_f1": 0.871,
    "interval": [0.84, 0.9],
    "enough": True,
    "random_slots": 31,
    "gain": {"labels": 50, "macro_f1": 0.004, "interval": [0.001, 0.009]},
    "acceptable": {"error": 0.02, "checks": 149, "images": 640},
}


@pytest.fixture
def values():
    """A project's, as `status` gives them."""
    return {
        "live": "al-3-abc",
        "versions": [dict(LIVE)],
        "tasks": {"unlabelled": 1200},
        "accepting": {"checks": None},
        "pace": 1.94,
    }


def checked(values, **about):
    """Let a frozen head be checked."""
    values["accepting"] = {"checks": {"error": 0.02, "now": 0, "step": None} | about}
    return values


def test_it_says_what_f1_is_and_what_more_labels_bring(values):
    said = stopping_text(values)
    assert said.startswith("macro F1 0.871 (0.840 to 0.900, 95 %)")
    assert "the next 50 labels: +0.4 points of macro F1 expected (+0.1 to +0.9, 95 %)" in said


def test_before_a_head_is_frozen_it_says_how_many_checks_would_allow_how_many_images(values):
    said = stopping_text(values)
    assert "at 2 % wrong `accept` would take none now and none after 50 more labels, 640 images after about 149 checks" in said


def test_few_checks_are_within_the_next_labels(values):
    values["versions"][0]["acceptable"] = {"error": 0.05, "checks": 40, "images": 300}
    assert "at 5 % wrong `accept` would take none now and 300 images after 50 more labels;" in stopping_text(values)


def test_a_frozen_head_counts_for_what_it_would_take_now_and_later(values):
    said = stopping_text(checked(values, now=400, step={"checks": 30, "images": 900}))
    assert "at 2 % wrong `accept` would take 400 images now and 900 images after 50 more labels" in said


def test_what_can_be_accepted_now_stays_so(values):
    assert "take 400 images now and 400 images after 50 more labels" in stopping_text(checked(values, now=400))


def test_where_no_check_would_help_it_says_so(values):
    values["versions"][0]["acceptable"] = None
    assert "`accept` would take no image now, nor after 50 more labels" in stopping_text(values)


def test_the_time_that_is_left_is_at_the_peoples_own_pace(values):
    assert stopping_text(values).endswith("by hand the 1,200 images left take about 39 min at 1.9 s each")


def test_accepting_saves_time(values):
    values["pace"] = 6.0
    said = stopping_text(checked(values, now=600))
    assert said.endswith("by hand the 1,200 images left take about 2.0 hours at 6.0 s each, 60 min once those are accepted")


def test_without_known_times_no_hours_are_told(values):
    values["pace"] = None
    assert "by hand" not in stopping_text(values)


def test_once_all_is_labelled_only_f1_is_told(values):
    values["tasks"]["unlabelled"] = 0
    said = stopping_text(values)
    assert said.startswith("nothing is left to label; macro F1 0.871")
    assert "accept" not in said


@pytest.mark.parametrize("versions", [[], [{"name": "al-3-abc"}]])
def test_before_the_first_version_there_is_nothing_to_say(values, versions):
    values["versions"] = versions
    assert stopping_text(values) == ""
