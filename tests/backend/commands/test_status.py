"""What `status` says: of versions and fine-tunings, of what cannot be used, and of what Label Studio has otherwise."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from backend.commands.follow import follow
from backend.commands.shared import CommandError
from backend.project.migration import Outcome
from backend.queue.work import FINETUNE, Work
from backend.records.outcome import AS_NOW, describe_finetuned, describe_migration
from backend.records.state import Projects, ProjectState, finetune_depth
from backend.status.jobs import describe_job
from backend.status.text import age, f1, render
from backend.status.values import status
from model.backbone_note import BackboneNote, note_file, write_note
from model.version_store import Version, VersionStore

RESULT = {
    "depth": "last",
    "labels": 120,
    "n": 40,
    "live": 0.812,
    "new": 0.874,
    "probability": 0.97,
    "interval": (0.004, 0.121),
    "promoted": True,
    "version": "",
}
REFUSED = RESULT | {"promoted": False, "probability": 0.61, "version": "al-9-00000a"}
JOB = {"id": "finetune_last-3-0", "step": "fine-tuning: epoch 2 of 12", "done": 64, "total": 255}


def test_a_promotion_is_told_with_both_figures_and_its_probability():
    said = describe_finetuned(RESULT)
    assert "ResNet50's last stage retrained on 120 labels: macro F1 0.874 against 0.812 on 40 images" in said
    assert "(+0.4 to +12.1 points, 95 %), better with probability 0.97: promoted" in said


def test_a_comparison_on_the_images_without_a_label_says_so():
    said = describe_finetuned(RESULT | {"unlabelled": True})
    assert "0.874 against 0.812 on the images without a label, by 40 labels that neither has learned (+0.4 to" in said


def test_a_refusal_names_the_version_that_is_kept():
    assert describe_finetuned(REFUSED).endswith("probability 0.61: not used, kept as al-9-00000a")


def test_too_few_random_slots_are_given_as_the_reason():
    assert "too few yet (promotions need 30)" in describe_finetuned(REFUSED | {"n": 12, "probability": 0.95})


def test_nothing_to_judge_on_is_said():
    nothing = {"n": 0, "live": None, "new": None, "probability": None, "interval": None}
    assert "no label is left to judge it by; kept as al-9-00000a" in describe_finetuned(REFUSED | nothing)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "finetune_last-3-0: fine-tuning: epoch 2 of 12 64/255"),
        ({"macro_f1": None, "seconds_left": 42.4}, "finetune_last-3-0: fine-tuning: epoch 2 of 12 64/255, 42 s left"),
        ({"macro_f1": 0.8712, "seconds_left": 600.0}, "64/255, macro F1 0.871, 10 min left"),
    ],
)
def test_a_running_job_tells_its_epoch_f1_and_time_left(more, said):
    assert describe_job(JOB | more).endswith(said)


def test_jobs_that_embed_together_say_how_many_workers_are_at_it():
    job = {"id": "embed-3-7", "step": "embedding images", "done": 64, "total": 255, "seconds_left": 42.0, "workers": 2}
    assert describe_job(job) == "embed-3-7: embedding images 64/255 by 2 workers, 42 s left"


@pytest.mark.parametrize(
    ("project", "setting", "depth"), [("", "off", ""), ("", "last", "last"), ("off", "last", ""), ("all", "off", "all")]
)
def test_a_projects_own_depth_goes_before_the_setting(make_settings, project, setting, depth):
    assert finetune_depth(ProjectState(finetune=project), make_settings(finetune=setting)) == depth


def test_a_job_that_no_worker_takes_says_which_to_start(work: Work, monkeypatch):
    monkeypatch.setattr("backend.queue.waiting.NO_WORKER_SECONDS", -1)
    with pytest.raises(CommandError, match=f"no worker takes jobs from {FINETUNE}.*backend worker {FINETUNE}"):
        follow(work, work.wake("finetune_last", 1), seconds=5)


@pytest.fixture
def told(work: Work, make_settings):
    """What `status` says, as values and as text, of a project whose live version has the given metrics."""

    def say(**metrics):
        settings = make_settings()
        projects, name, none = Projects(settings.data_dir), "al-1-00000a", np.zeros(0, np.int64)
        with projects.edit(1) as state:
            state.live = name
        store = VersionStore(projects.folder(1) / "versions")
        store.write(Version(name, 0.0, {}, "base", "margin", None, none, none, 0, metrics))
        found = status(settings, work)
        return found["projects"][0]["versions"][0], render(found)

    say.again = lambda: render(status(make_settings(), work))
    return say


def gain(low, expected, high):
    measured = {"n": 40, "macro_f1": 0.85, "interval": (0.7, 0.9), "enough": True}
    return measured | {"gain": {"labels": 50, "macro_f1": expected, "interval": (low, high)}}


@pytest.mark.parametrize(
    ("low", "expected", "high", "advice"),
    [
        (-0.008, 0.004, 0.016, "+0.4 points of macro F1 expected (-0.8 to +1.6, 95 %): not sure that they help"),
        (-0.002, 0.001, 0.004, "+0.1 points of macro F1 expected (-0.2 to +0.4, 95 %): hardly worth it"),
        (0.006, 0.012, 0.018, "+1.2 points of macro F1 expected (+0.6 to +1.8, 95 %): worth it"),
    ],
)
def test_status_tells_what_the_next_labels_bring(told, low, expected, high, advice):
    version, text = told(**gain(low, expected, high))
    assert version["gain"] == {"labels": 50, "macro_f1": expected, "interval": [low, high]}
    assert f"  next 50 labels {advice}\n" in text


def test_status_says_that_random_slots_are_too_few_to_tell(told):
    version, text = told(n=9, macro_f1=0.8, interval=(0.5, 0.9), enough=False, gain=None)
    assert version["gain"] is None
    assert "  next labels    too few random slots to tell yet: 30 are needed\n" in text


def test_a_version_from_before_the_gain_was_measured_still_shows(told):
    _, text = told(n=40, macro_f1=0.8, interval=(0.7, 0.9), enough=True)
    assert "  next labels    not measured" in text


def measured(**metrics):
    return {"macro_f1": 1.0, "interval": (0.2, 1.0), "random_slots": 1, "enough": False} | metrics


def test_a_few_random_slots_give_no_figure(told):
    assert f1(measured()) == "unknown: too little to say anything yet, 1 random slot"
    assert f1(measured(interval=(0.55, 0.95), random_slots=14)) == (
        "between 0.550 and 0.950 (95 %) on 14 random slots: too few yet for a figure"
    )
    assert "1.000" not in told(n=1, macro_f1=1.0, interval=(0.1, 0.99), enough=False)[1]


def test_enough_random_slots_give_one():
    said = f1(measured(macro_f1=0.8, interval=(0.7, 0.9), random_slots=30, enough=True))
    assert said == "0.800 (0.700 to 0.900, 95 %) on 30 random slots"


ON_UNLABELLED = {
    "n": 10, "macro_f1": 0.8, "interval": (0.7, 0.9), "accuracy": 0.85, "accuracy_interval": (0.75, 0.92), "unlabelled": True,
}  # fmt: skip


def test_a_figure_on_the_images_without_a_label_says_so_and_comes_with_accuracy(told):
    _, text = told(**ON_UNLABELLED, enough=True)
    assert "  macro F1       0.800 (0.700 to 0.900, 95 %) on the images without a label, by 10 random slots\n" in text
    assert "  accuracy       0.850 (0.750 to 0.920, 95 %) on the images without a label, by 10 random slots\n" in text


def test_too_wide_an_interval_there_gives_no_figure(told):
    _, text = told(**ON_UNLABELLED | {"interval": (0.55, 0.9), "enough": False})
    assert "between 0.550 and 0.900 (95 %) on the images without a label, by 10 random slots: too wide yet for a figure" in text
    assert "accuracy" not in text


def test_images_that_nobody_has_judged_are_told():
    assert f1(measured(unjudged=1000)).endswith("of 1000 images imported since nobody has judged enough yet")


@pytest.mark.parametrize(
    ("seconds", "said"), [(3, "3 s ago"), (150, "2 min ago"), (7300, "2 h ago"), (200_000, "2 d ago"), (-9, "0 s ago")]
)
def test_an_age_is_told_in_its_unit(seconds, said):
    moment = datetime.now() - timedelta(seconds=seconds)
    assert age(moment.isoformat()) == said


def test_status_names_the_backbone_of_the_live_version(told, make_settings):
    _, text = told()
    assert "  backbone       ResNet50; resize256-crop224-v1, float32\n" in text, "as before notes were kept"
    note = BackboneNote("vgg16", "/models/mine.pth", "resize256-crop224-v1", "bfloat16", 4096, depth="last")
    write_note(note_file(Projects(make_settings().data_dir).folder(1), "base"), note)
    assert "  backbone       vgg16 with mine.pth, its last stage retrained; resize256-crop224-v1, bfloat16\n" in told.again()


def test_status_tells_how_far_a_switch_is(told, make_settings):
    told()
    with Projects(make_settings().data_dir).edit(1) as state:
        state.migration = {"backbone": "vgg16-1", "title": "vgg16", "upgrade": False, "done": 12, "total": 400, "lost": 0}
    assert "  switch         to vgg16: 12 of 400 images embedded; the queue goes on as it is meanwhile\n" in told.again()


OUTCOME = Outcome(
    "vgg16-1", "vgg16", "vgg16", False, 60, n=40, effective=40, live=0.812, new=0.83, probability=0.7, interval=(-0.02, 0.061)
).as_dict()
FORCE = "`al-backend connect --project 3 --backbone vgg16 --force` takes it all the same"
POINTS = "macro F1 0.812 -> 0.830 (-2.0 to +6.1 points, 95 %)"
FIGURES = f"{POINTS} on 40 random slots"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, f"not to vgg16: {FIGURES}, better with probability 0.70; {FORCE}"),
        (
            {"unlabelled": True},
            f"not to vgg16: {POINTS} on the images without a label, by 40 labels that neither has learned, better with "
            f"probability 0.70; {FORCE}",
        ),
        ({"promoted": True}, f"to vgg16: {FIGURES}, better with probability 0.70; taken"),
        ({"promoted": True, "forced": True}, f"to vgg16: {FIGURES}, better with probability 0.70; taken because of --force"),
        (
            {"effective": 12.0},
            f"not to vgg16: {FIGURES}, too few yet (it takes 30), better with probability 0.70; {FORCE}",
        ),
        ({"n": 0, "probability": None}, f"not to vgg16: no label is left to judge it by; {FORCE}"),
        ({"promoted": True, "labels": 0, "probability": None}, "to vgg16: no label is there to judge it on; taken"),
        ({"kept": "al-3-0a1b2c"}, f"not to vgg16, since the queue was put back to al-3-0a1b2c; {FORCE}"),
        ({"promoted": True, "upgrade": True}, f"to vgg16{AS_NOW}: all images are embedded anew, and used"),
    ],
)
def test_what_came_of_a_switch_is_told_in_a_sentence(more, said):
    assert describe_migration(OUTCOME | more, 3) == said
