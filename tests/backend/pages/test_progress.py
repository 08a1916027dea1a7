"""What the page of progress says: the learning curve, when to stop, and what is taken for what."""

import re

import numpy as np
import pytest

from backend.pages import progress
from backend.records.history import FILE
from model.measuring.metrics import measure
from model.storage.files import read_json, write_json
from model.version_store import Version, VersionStore
from tests.backend.jobs.made_up import CLASSES, label_some, run_round

EVIL = ["<script>alert(1)</script>", "a&truth=b", '"><img src=x onerror=alert(1)>', "ж %2F/?#+", "{{ 7 * 7 }}"]
WORTH = {"labels": 50, "macro_f1": 0.012, "interval": (0.006, 0.018)}


@pytest.fixture
def follow(session):
    """Has the queue follow a version that took `guesses` for images of the classes `truths`, which are those of the project's
    first tasks; returns the tasks."""

    def write(truths, guesses, classes=CLASSES, number=9, labels=40, **more):
        name, learned = f"al-{number}-00000a", np.arange(labels)
        tasks = [row.task for row in session.index.rows()]
        tasks = (tasks + list(range(1000, 1000 + len(truths))))[: len(truths)]
        metrics = measure(np.eye(len(classes))[guesses], np.array(truths, np.int64)).as_dict()
        judged = {"tasks": tasks, "truths": list(truths), "guesses": list(guesses)}
        metrics |= {"judged": judged, "gain": None, "unjudged": 0} | more
        target = {"classes": list(classes)}
        session.versions.write(Version(name, 9e8, target, "base", "margin", None, learned, learned, 0, metrics))
        session.learned.history.add(name)
        with session.edit() as state:
            state.live = name
        return tasks

    return write


@pytest.fixture
def look(browser, session):
    """The page of progress, or what its address asks for beyond it."""
    return lambda query="": browser.get(f"/projects/{session.project}/progress{query}")


def slots(n):
    """True classes of n random slots, and guesses of which one is wrong."""
    return [i % 2 for i in range(n)], [1, *(i % 2 for i in range(1, n))]


def test_a_project_without_a_version_says_what_it_waits_for(look, session):
    with session.edit() as state:
        state.live = ""
    assert "before the first version" in look()


def test_a_new_projects_page_is_there_after_its_first_round(look):
    assert "When to stop cannot be told yet." in look()


def test_enough_random_slots_make_a_figure(look, follow):
    follow(*slots(40))
    page = look()
    assert "0.975 (" in page
    assert 'class="point"' in page
    assert "<meter" in page


def test_ten_random_slots_make_a_figure_of_the_images_without_a_label(look, follow):
    of_both = {"per_class": [0.9, 0.8], "per_class_intervals": [[0.8, 0.97], [0.7, 0.9]]}
    about = {"macro_f1": 0.85, "interval": [0.75, 0.93], "accuracy": 0.86, "accuracy_interval": [0.76, 0.94]}
    follow(*slots(10), **of_both, **about, unlabelled=True, enough=True)
    page = look()
    assert "acro F1 0.850 (0.750 to 0.930, 95 %) on the images without a label, by 10 random slots" in page
    assert "Accuracy: 0.860 (0.760 to 0.940, 95 %)" in page
    assert "0.80 <small>(0.70 to 0.90)</small>" in page
    assert " %</small>" not in page  # shares of so few in the confusion matrix


def test_too_few_random_slots_make_no_figure_anywhere(look, follow, session):
    VersionStore(session.versions.folder).prune(0, [])
    (session.versions.folder.parent / FILE).unlink()
    follow(*slots(29))
    page = look()
    assert "too few yet for a figure" in page
    assert 'class="bar"' in page
    assert "not known yet" in page
    assert "too few random slots to tell yet" in page
    assert 'class="point"' not in page
    assert "<meter" not in page
    assert " %</small>" not in page
    assert "0.966" not in page


@pytest.mark.parametrize(
    ("interval", "advice"),
    [
        ((0.006, 0.018), "Go on labelling"),
        ((-0.008, 0.018), "go on while they cost little"),
        ((-0.02, 0.004), "a time to stop"),
    ],
)
def test_it_advises_when_to_stop(look, follow, interval, advice):
    follow(*slots(40), gain=WORTH | {"interval": interval})
    page = look()
    assert advice in page
    assert "Next 50 labels: +1.2 points of macro F1 expected" in page
    assert 'class="expected"' in page


def test_the_curve_outlives_the_versions(look, follow, session):
    for number in range(3, 7):
        follow(*slots(40), number=number, labels=10 * number)
    session.versions.prune(1, [])
    page = look()
    assert page.count('class="point"') == 4
    assert [f'<th scope="row">{labels}</th>' in page for labels in (30, 40, 50, 60)] == [True] * 4


def test_what_is_expected_stands_in_the_table_too(look, follow):
    follow(*slots(40), gain=WORTH)
    assert '<th scope="row">90</th><td>expected</td><td></td><td class="text">0.987 (0.981 to 0.993,' in look()


def test_the_versions_that_the_queue_has_followed_make_the_history(label_studio, session):
    first = session.state.live
    label_some(label_studio, session, 2)
    second = run_round(session)
    assert [(entry.name, entry.labels) for entry in session.learned.history.entries()] == [(first, 4), (second, 6)]


def test_another_project_under_the_same_id_has_no_history(label_studio, session):
    label_studio.projects[session.project]["created_at"] = "2031-01-01T00:00:00Z"
    session.sync()
    assert session.learned.history.entries() == []


@pytest.mark.parametrize("damage", [b"", b"\xff\x00{", b"[]\n", b'{"name": 1, "gain": "x"}\n'])
def test_a_damaged_history_costs_no_page(look, follow, session, damage):
    follow(*slots(40))
    (session.versions.folder.parent / FILE).write_bytes(damage)
    assert look().count('class="point"') == 1


def test_labels_and_random_slots_are_counted_by_class(look, follow):
    follow([0, 0, 0, 1], [0, 0, 1, 1])
    row = re.search(r'class="name">ants</th><td>(\d+)</td><td>(\d+)</td>', look())
    assert row
    assert row.groups() == ("2", "3")


def test_the_worst_class_comes_first(look, follow):
    follow([0] * 20 + [1] * 20 + [2] * 20, [0] * 20 + [1] * 10 + [2] * 30, classes=["fine", "poor", "fair"])
    assert re.findall(r'class="name">(\w+)</th><td>', look()) == ["poor", "fair", "fine"]


def test_a_cell_opens_its_images_and_leads_to_label_studio(look, follow, session):
    tasks = follow([0, 0, 1, 1, 0], [1, 0, 1, 0, 1])
    assert 'href="?truth=ants&amp;guess=bees" aria-label="2 of ants taken for bees">2</a>' in look()
    page = look("?truth=ants&guess=bees")
    shown = [int(task) for task in re.findall(r"/data\?task=(\d+)", page)]
    assert shown == [tasks[0], tasks[4]]
    assert f"{session.settings.label_studio_url}/projects/{session.project}/data?task={shown[0]}" in page
    assert f'src="/projects/{session.project}/images/{shown[0]}"' in page


def test_images_that_were_deleted_are_not_shown(look, follow):
    follow([0] * 14, [1] * 14)  # of twelve tasks
    assert "12 images." in look("?truth=ants&guess=bees")


def test_of_many_images_the_first_are_shown(look, follow, monkeypatch):
    monkeypatch.setattr(progress, "MOST", 5)
    follow([0] * 9, [1] * 9)
    page = look("?truth=ants&guess=bees")
    assert "The first 5 of 9 images." in page
    assert page.count("<img") == 5


@pytest.mark.parametrize(
    "query", ["?truth=ants", "?guess=bees", "?truth=ants&guess=wasps", "?truth=&guess=", "?truth=%00&guess=%ff"]
)
def test_a_class_that_is_none_is_told(browser, session, query):
    answer = browser.http.get(f"/projects/{session.project}/progress{query}")
    assert answer.status_code == 404
    assert "classes of this project" in answer.text


@pytest.mark.parametrize("name", EVIL)
def test_names_of_classes_are_text_and_their_cells_open(look, follow, name):
    tasks = follow([0, 1], [1, 0], classes=[name, "other"])
    page = look()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    cell = re.search(r'href="(\?truth=[^"]*guess=other)"', page)
    assert cell
    images = look(cell[1].replace("&amp;", "&"))
    assert f"task={tasks[0]}" in images
    assert "<script>alert" not in images
    assert "<img src=x" not in images


def test_of_many_classes_those_confused_most_are_shown(look, follow):
    truths = [*range(10), 200, 299, 299]
    guesses = [*range(10), 100, 7, 7]
    follow(truths, guesses, classes=[f"kind {number:03}" for number in range(300)])
    page = look()
    assert "the 12 of 300 classes that are confused most" in page
    columns = re.findall(r'<th scope="col" class="name">([^<]+)', page)
    assert len(columns) == 12
    assert {"kind 007", "kind 100", "kind 200", "kind 299"} <= set(columns)


def test_a_first_version_that_has_learned_no_label_lacks_nothing(look, follow, session):
    follow(*slots(40), labels=0)
    path = session.versions.folder / "al-9-00000a" / "version.json"
    write_json(path, read_json(path) | {"metrics": {"acceptable": None}})
    page = look()
    assert "No random slot is labelled yet" in page
    assert "made before" not in page
    assert "not kept" not in page


def test_a_version_of_earlier_days_says_what_it_lacks(look, follow, session):
    follow(*slots(40))
    path = session.versions.folder / "al-9-00000a" / "version.json"
    about = read_json(path)
    del about["metrics"]["judged"], about["metrics"]["confusion"]
    write_json(path, about)
    page = look()
    assert "The live version was made before this was kept" in page
    assert 'class="point"' in page
    assert "made before its images were kept" in look("?truth=ants&guess=bees")


def test_an_index_that_cannot_be_read_costs_the_counts_alone(look, follow, session):
    follow(*slots(40))
    path = session.versions.folder.parent / "index.sqlite"
    path.unlink()
    assert "0.975 (" in look()


def test_nothing_of_it_needs_more_than_the_policy_allows(look, follow):
    follow(*slots(40), gain=WORTH)
    page = look()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
