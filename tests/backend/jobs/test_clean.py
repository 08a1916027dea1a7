"""What a clean-up deletes, and what it spares."""

import pytest

from backend.jobs.clean import clean
from backend.jobs.reconcile import reconcile
from backend.jobs.round import run_round
from backend.labelstudio.client import LabelStudio

pytestmark = pytest.mark.usefixtures("two_versions", "long_ago")


@pytest.fixture
def long_ago(monkeypatch):
    """Nobody has anything open any more of what was replaced."""
    monkeypatch.setattr("backend.jobs.clean.HELD_SECONDS", -1)


def add(place, version, task=5):
    """A prediction that is there all the same."""
    place.studio._add_prediction(
        place.project, {"task": place.tasks[task], "result": [], "score": 0.1, "model_version": version}
    )


def test_the_older_version_goes_and_the_live_one_stays(place):
    assert place.run(clean) == 8
    assert place.predictions(place.first) == []
    assert len(place.predictions(place.second)) == 8


def test_what_another_model_has_predicted_for_every_task_is_never_read(place, monkeypatch):
    for task in range(len(place.tasks)):
        add(place, "somebody-elses-model", task)
    read, whole = [], LabelStudio.predictions
    monkeypatch.setattr(LabelStudio, "predictions", lambda *asked: read.append(whole(*asked)) or read[-1])
    monkeypatch.setattr(
        place.studio, "_list_predictions", lambda *_: pytest.fail("all predictions were asked for"), raising=False
    )
    assert place.run(clean) == 8
    for job in (reconcile, run_round, clean):
        place.run(job)
    assert read
    assert "somebody-elses-model" not in {one["model_version"] for found in read for one in found}
    assert len(place.predictions("somebody-elses-model")) == len(place.tasks)


def test_what_was_predicted_before_the_first_version_goes(place):
    add(place, "al-0")
    place.run(clean)
    assert place.predictions("al-0") == []


@pytest.mark.parametrize("version", ["al-1-{other}123", "somebody-elses-model", "al-99-{mark}fff"])
def test_what_is_not_ours_or_newer_stays(place, version):
    with place.session() as session:
        mark = session.versions.mark
    name = version.format(mark=mark, other="000" if mark != "000" else "fff")
    add(place, name)
    place.run(clean)
    assert len(place.predictions(name)) == 1


def test_what_label_studio_follows_stays_though_it_is_older(place):
    place.studio.projects[place.project]["model_version"] = place.first
    assert place.run(clean) == 0
    assert len(place.predictions(place.first)) == 8


def test_what_a_rollback_returns_to_stays(place):
    with place.session() as session, session.edit() as state:
        state.roll_back_to(place.first)
    place.run(clean)
    assert len(place.predictions(place.first)) == 8


def test_before_the_first_version_nothing_is_deleted(place):
    add(place, "al-0")
    with place.session() as session, session.edit() as state:
        state.live = ""
    assert place.run(clean) == 0


def test_a_long_clean_up_goes_on_in_another_job(place, monkeypatch):
    monkeypatch.setattr("backend.jobs.clean.CLEAN_SLICE", -1)
    place.run(clean)
    assert len(place.predictions(place.first)) == 8
    assert any(job.id.startswith(f"clean-{place.project}-") for job in place.work.active(place.project))


def test_what_may_be_open_in_an_editor_stays_for_an_hour(place, monkeypatch):
    """Label Studio refuses a Submit that names a prediction which is gone."""
    monkeypatch.setattr("backend.jobs.clean.HELD_SECONDS", 3600)
    monkeypatch.setattr("backend.jobs.clean.HEAD", 3)
    labelled = set(place.tasks[:4])
    first_open = [task for task in place.predictions(place.first) if task not in labelled][:3]
    place.work.forget(place.project)
    place.run(clean)
    assert place.predictions(place.first) == first_open
    registries = [queue.scheduled_job_registry for queue in place.work._queues.values()]
    assert [job for registry in registries for job in registry.get_job_ids() if job.startswith("clean-")]
    monkeypatch.setattr("backend.jobs.clean.HELD_SECONDS", -1)
    place.run(clean)
    assert place.predictions(place.first) == []
