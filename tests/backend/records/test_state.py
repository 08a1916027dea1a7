"""What is remembered of a project outlives damage, and older versions of this plugin."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.records.state import ARITHMETIC, COPY, STATE, Projects, ProjectState
from model.networks import arithmetic


@pytest.fixture
def projects(tmp_path):
    """A DATA_DIR in which project 3 is connected and follows a version."""
    projects = Projects(tmp_path)
    projects.prepare()
    with projects.edit(3) as state:
        state.connected, state.live, state.previous = True, "al-1-aaaaaa", {"sampling": "Sequential sampling"}
    return projects


@pytest.mark.parametrize(
    "content",
    ["", "{", "null", "[]", "{}", '"text"', '{"connected": "yes"}', '{"connected": true, "live": 3}', "\xff", "[" * 100_000],
)
def test_a_damaged_file_is_read_from_its_copy(projects, content):
    good = projects.read(3)
    (projects.folder(3) / STATE).write_bytes(content.encode("latin-1"))
    assert projects.read(3) == good


def test_a_file_that_is_gone_is_read_from_its_copy(projects):
    (projects.folder(3) / STATE).unlink()
    assert projects.read(3).connected
    assert projects.ids() == [3]


def test_the_next_change_mends_the_damaged_file(projects):
    (projects.folder(3) / STATE).write_text("{")
    with projects.edit(3) as state:
        state.paused = True
    (projects.folder(3) / COPY).unlink()
    assert (projects.read(3).connected, projects.read(3).paused) == (True, True)


def test_the_copy_holds_the_last_change(projects):
    with projects.edit(3) as state:
        state.live = "al-2-bbbbbb"
    (projects.folder(3) / STATE).write_text("{")
    assert projects.read(3).live == "al-2-bbbbbb"


def test_where_both_are_damaged_the_state_says_so_with_the_next_step(projects):
    for name in (STATE, COPY):
        (projects.folder(3) / name).write_text("{")
    assert "connect --project 3" in projects.read(3).last_error


def test_a_project_nobody_knows_has_a_new_state_and_no_error(projects):
    assert projects.read(4) == ProjectState()


def test_a_change_that_fails_changes_nothing(projects):
    def change():
        with projects.edit(3) as state:
            state.live = ""
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        change()
    assert projects.read(3).live == "al-1-aaaaaa"


def test_the_state_of_an_older_version_is_read(projects):
    old = {
        "candidate": "", "connected": True, "created_at": "2026-01-01T00:00:00Z", "finetune": "", "finetuned": {},
        "followed": "al-7-0a1b2c", "last_error": "", "live": "al-7-0a1b2c", "partial": False, "paused": False,
        "previous": {"sampling": "Sequential sampling", "min_annotations_to_start_training": 0}, "promoting": "",
        "returning": "", "strategy": "margin", "target": {"from_name": "choice"}, "trained": "abc", "tuned_labels": 0,
    }  # fmt: skip
    (projects.folder(3) / STATE).write_text(json.dumps(old))
    (projects.folder(3) / COPY).unlink()
    state = projects.read(3)
    assert {name: getattr(state, name) for name in old if name != "last_error"} == {
        k: v for k, v in old.items() if k != "last_error"
    }
    assert state.control == ""


def test_the_state_of_a_newer_version_is_read_as_far_as_it_is_known(projects):
    newer = json.loads((projects.folder(3) / STATE).read_text()) | {"something_new": [1]}
    (projects.folder(3) / STATE).write_text(json.dumps(newer))
    assert projects.read(3).live == "al-1-aaaaaa"


def test_a_project_that_starts_over_forgets_what_was_learned_and_keeps_what_people_chose(projects):
    with projects.edit(3) as state:
        state.strategy, state.promoting, state.trained, state.target = "margin", "tuned", "abc", {"a": 1}
        state.start_over()
    state = projects.read(3)
    assert (state.live, state.promoting, state.trained, state.target) == ("", "", "", {})
    assert (state.connected, state.strategy) == (True, "margin")


@pytest.mark.parametrize("content", ["", "[]", "{}", "3", '{"identity": ""}'])
def test_a_damaged_identity_is_given_anew_and_stays(projects, content):
    (projects.data_dir / "identity.json").write_text(content)
    assert len(projects.identity()) == 32
    assert projects.identity() == projects.identity()


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", '{"format": null}'])
def test_a_damaged_format_does_not_lock_anybody_out(projects, content):
    (projects.data_dir / "format.json").write_text(content)
    projects.prepare()
    assert projects.read(3).connected


def test_the_arithmetic_is_chosen_once_and_stays_for_every_process(projects, monkeypatch):
    monkeypatch.setattr(arithmetic, "fastest", lambda: "bfloat16")
    assert projects.arithmetic() == "bfloat16"
    monkeypatch.setattr(arithmetic, "fastest", lambda: "float16")
    assert Projects(projects.data_dir).arithmetic() == "bfloat16"


def test_a_machine_is_asked_once_where_many_processes_begin_together(projects, monkeypatch):
    asked = []
    monkeypatch.setattr(arithmetic, "fastest", lambda: asked.append("float32") or asked[0])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: Projects(projects.data_dir).arithmetic(), range(8)))
    assert (set(found), len(asked)) == ({"float32"}, 1)


def test_another_arithmetic_is_chosen_once_its_file_is_removed(projects, monkeypatch):
    monkeypatch.setattr(arithmetic, "fastest", lambda: "float16")
    projects.arithmetic()
    (projects.data_dir / ARITHMETIC).unlink()
    monkeypatch.setattr(arithmetic, "fastest", lambda: "bfloat16")
    assert projects.arithmetic() == "bfloat16"
