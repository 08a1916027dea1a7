"""What a fine-tuning job learns from, and what a killed one finds when it is taken up again."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from backend.bench.label_studio import label_config
from backend.jobs import finetune as finetuning
from backend.jobs.finetune import MADE
from backend.jobs.publish import Superseded, switch
from backend.labelstudio.labelling_config import parse_label_config
from backend.project.session import Session
from backend.records.state import NETWORKS
from model.backbone_store import About
from model.finetune import TooFewLabels
from model.storage.files import write_json
from model.version_store import Version
from tests.model.made_up import DIMENSIONS

CLASSES = ["A", "B"]
TARGET = parse_label_config(label_config(CLASSES))


def task(number, choice=None, image=None):
    """A task as Label Studio lists it."""
    if image is None:
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), (number % 256, 0, 0)).save(buffer, "PNG")
        image = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    region = {"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": [choice]}}
    return {"id": number, "data": {"image": image}, "annotations": [{"result": [region]}] if choice else []}


@pytest.fixture
def session(make_settings, weights):
    """A project with 60 labels and embeddings of everything; its Label Studio is not there and must not be asked."""
    settings = make_settings(label_studio_url="http://127.0.0.1:1", label_studio_api_key="unused", model_weights=weights)
    with Session(settings, 1) as found:
        found.info = {"created_at": "2026-01-01T00:00:00Z"}
        found.use_config(label_config(CLASSES))
        add(found, range(1, 61))
        add(found, range(61, 81), labelled=False)
        yield found


def add(session, numbers, labelled=True, image=None):
    """Take in tasks and give them embeddings."""
    session.index.update([task(n, CLASSES[n % 2] if labelled else None, image) for n in numbers], TARGET)
    rows = [row for row in session.index.rows() if row.task in set(numbers)]
    values = np.random.default_rng(numbers[0]).normal(size=(len(rows), DIMENSIONS)).astype(np.float32)
    session.store.add([row.key for row in rows], values)


def begin(session, generation=0, depth="last"):
    """What a job's start finds or makes."""
    return finetuning._begin(session, session.finetuning / depth, generation)


def test_a_job_that_is_taken_up_again_learns_the_labels_it_began_with(session):
    first = begin(session)
    add(session, range(61, 71))
    again = begin(session)
    assert again.tasks.tolist() == first.tasks.tolist()
    assert np.array_equal(again.test, first.test)


def test_a_later_job_learns_the_labels_of_now(session):
    begin(session)
    add(session, range(61, 71))
    assert len(begin(session, generation=1).tasks) == 70


def test_a_later_job_goes_on_with_the_same_labels(session):
    write_json(begin(session).folder / "fold 1.json", {})
    assert (begin(session, generation=1).folder / "fold 1.json").exists()


def test_what_is_made_already_is_not_thrown_away(session):
    run = begin(session)
    session.backbones.adopt(_file(session), "made", About("last", ()))
    write_json(run.folder / MADE, {"backbone": "made", "depth": "last", "epochs": 1, "training_seconds": 1.0})
    add(session, range(61, 71))
    again = begin(session, generation=1)
    assert len(again.tasks) == 60
    assert finetuning._make(session, again, "last")["backbone"] == "made"


def test_a_project_without_tasks_has_nothing_to_learn_and_nothing_to_label(session):
    session.index.keep_only([])
    labelled, pool = session.labelled_and_pool()
    assert (len(labelled.tasks), len(pool.tasks), len(session.labelled().tasks)) == (0, 0, 0)


def test_labels_are_read_alone_as_with_the_pool(session):
    alone, (labelled, pool) = session.labelled(), session.labelled_and_pool()
    assert (len(labelled.tasks), len(pool.tasks)) == (60, 20)
    assert all(np.array_equal(a, b) for a, b in zip(vars(alone).values(), vars(labelled).values(), strict=True))
    assert not np.array_equal(labelled.embeddings[0], pool.embeddings[0])


def test_depths_do_not_disturb_each_other(session):
    begin(session, depth="all")
    add(session, range(61, 71))
    begin(session, depth="last")
    assert len(begin(session, depth="all").tasks) == 60


def test_another_project_under_the_same_id_begins_anew(session):
    begin(session)
    session.info = {"created_at": "2026-02-02T00:00:00Z"}
    add(session, range(61, 71))
    assert len(begin(session).tasks) == 70


def test_half_written_files_are_cleared_away(session):
    run = begin(session)
    (run.folder / ".plain.npy.0a.tmp").touch()
    begin(session)
    assert not list(run.folder.glob(".*"))


def test_photos_stay_the_same_when_a_task_is_deleted_meanwhile(session):
    run = begin(session)
    first = finetuning._photos(session, run)
    assert set(first) == set(run.tasks[~run.test].tolist())
    session.index.keep_only(set(range(1, 81)) - {min(first)})
    assert finetuning._photos(session, run) == first
    assert all(path.exists() for path in first.values())


def test_a_photo_that_cannot_be_read_is_left_out_with_its_reason_for_good(session):
    add(session, [90], image="data:image/png;base64,AAAA")
    session.store.refresh()
    run = begin(session)
    run.test[run.tasks == 90] = False
    first = finetuning._photos(session, run)
    assert 90 not in first
    assert next(row.error for row in session.index.rows() if row.task == 90)
    assert finetuning._photos(session, run) == first


def test_too_few_labels_are_refused_with_the_numbers(session):
    session.index.keep_only(range(1, 36))
    with pytest.raises(TooFewLabels, match="Of 35 labels 30 are kept to judge the result, which leaves 5 to learn from"):
        begin(session)


def _file(session):
    path = session.finetuning / "made.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


def result(promoted):
    """As much of a verdict as counts here."""
    return {"promoted": promoted, "backbone": "new", "version": ""}


@pytest.mark.parametrize(("promoted", "connected", "promoting"), [(True, True, "new"), (False, True, ""), (True, False, "")])
def test_only_a_better_backbone_of_a_connected_project_is_promoted(session, promoted, connected, promoting):
    with session.edit() as state:
        state.connected, state.candidate = connected, "new"
    finetuning._finish(session, result(promoted))
    assert (session.state.promoting, session.state.candidate) == (promoting, "")


def test_an_older_round_that_ends_after_a_promotion_leaves_it_waiting(session):
    with session.edit() as state:
        state.promoting = "new"
    switch(session, "al-1-000000", lambda: None)
    assert session.state.promoting == "new"
    session.use_backbone("new")
    switch(session, "al-2-000000", lambda: None)
    assert session.state.promoting == ""


def test_backbones_that_something_needs_are_spared(session):
    for name in ("of a version", "being made", "waiting", "old"):
        session.backbones.adopt(_file(session), name, About("last", ()))
    none = np.zeros(0, np.int64)
    session.versions.write(Version("al-1-00000a", 0.0, TARGET.as_dict(), "of a version", "margin", None, none, none, 0))
    with session.edit() as state:
        state.candidate, state.promoting = "being made", "waiting"
    session.collect_backbones()
    assert [session.backbones.has(name) for name in ("of a version", "being made", "waiting", "old")] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("arithmetic", ["", "-bfloat16"])
def test_what_the_processor_takes_goes_with_its_backbone(session, arithmetic):
    networks = session.settings.data_dir / NETWORKS
    networks.mkdir()
    for name in ("old", "waiting", "older"):
        (networks / f"{name}.xml").touch()
        (networks / f"{name}.bin").touch()
    session.backbones.adopt(_file(session), f"old{arithmetic}", About("last", ()))
    session.collect_backbones()
    assert sorted(path.stem for path in networks.iterdir()) == ["older", "older", "waiting", "waiting"]


def test_a_session_works_with_the_live_versions_backbone(session):
    none = np.zeros(0, np.int64)
    session.versions.write(Version("al-1-00000a", 0.0, TARGET.as_dict(), "new", "margin", None, none, none, 0))
    with session.projects.edit(1) as state:
        state.live = "al-1-00000a"
    session.reread()
    assert session.backbone == session.backbones.wanted_name  # its weights are not here
    session.backbones.adopt(_file(session), "new", About("last", ()))
    session.reread()
    assert session.backbone == "new"


def test_a_photo_that_makes_a_library_fail_in_its_own_way_costs_itself_alone(session, monkeypatch):
    run = begin(session)
    learned = run.tasks[~run.test].tolist()
    store, odd = finetuning.store_photo, f"/{next(row.key for row in session.index.rows() if row.task == learned[0])}.jpg"

    def fails_for_one(content, max_pixels, path):
        if str(path).endswith(odd):
            raise IndexError("list index out of range")
        store(content, max_pixels, path)

    monkeypatch.setattr(finetuning, "store_photo", fails_for_one)
    assert sorted(finetuning._photos(session, run)) == sorted(learned[1:])
    assert "IndexError" in next(row.error for row in session.index.rows() if row.task == learned[0])


def test_a_full_disk_is_no_fault_of_the_photos(session, monkeypatch):
    run = begin(session)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(finetuning, "store_photo", full)
    with pytest.raises(OSError, match="No space left"):
        finetuning._photos(session, run)


def test_two_processes_are_never_at_one_fine_tuning(session):
    folder = session.finetuning / "last"
    with finetuning._alone(folder):
        with pytest.raises(Superseded, match="another process"), finetuning._alone(folder):
            pass
        with finetuning._alone(session.finetuning / "all"):
            pass
    with finetuning._alone(folder):
        pass


def test_a_network_that_cannot_be_retrained_is_refused_with_the_way_out(make_place):
    place = make_place(4, BACKBONE="vgg16")
    assert place.run(finetuning.finetune, "last") == {
        "ignored": "vgg16 cannot be retrained on labels; `connect --backbone resnet50` takes a network that can be"
    }
