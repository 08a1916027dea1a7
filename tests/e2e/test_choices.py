"""Trees of classes, and several choices an image, on a real Label Studio: what its editor stores, which predictions it keeps,
and the loop over them.

The tests of this file build on each other and run in their order.
"""

import pytest

from backend.bench.label_studio import csrf, name_of
from tests.conftest import every_prediction
from tests.e2e.conftest import RETRAIN_AFTER, Annotator, first, wait_until
from tests.e2e.editor import Editor, label_studio_page

pytestmark = pytest.mark.soak

IMAGES = 40
TREE = """<View><Image name="image" value="$image"/><Taxonomy name="kind" toName="image">
    <Choice value="Insects"><Choice value="Ants" alias="ants"/><Choice value="Bees" alias="bees"/></Choice>
    <Choice value="Others"/>
</Taxonomy></View>"""
TICKED = "() => [...document.querySelectorAll('.ant-select-selection-item')].map(item => item.textContent.trim())"


def region(*paths):
    """A result as the editor sends it."""
    return [
        {"from_name": "kind", "to_name": "image", "type": "taxonomy", "value": {"taxonomy": [list(path) for path in paths]}}
    ]


@pytest.fixture(scope="module")
def annotator(house):
    return Annotator(house.admin)


@pytest.fixture(scope="module")
def project(house, insects):
    """A connected project whose question is a tree."""
    project = house.project("Tree", first(insects, 0, IMAGES), ["A", "B"])
    house.admin.patch_project(project, label_config=TREE)
    house.cli("connect", "--project", str(project))
    return project


def submit(annotator, task, result):
    """Submit `result` for `task`."""
    path = f"/api/tasks/{task['id']}/annotations/"
    annotator._http.post(path, json={"result": result}, headers=csrf(annotator._http)).raise_for_status()


def test_paths_of_a_tree_are_learned_and_come_back_as_pre_annotations(house, project, annotator, insects):
    answers = []
    while len(answers) < RETRAIN_AFTER or len(set(answers)) < 2:  # a head that knows one class ticks nothing
        task = annotator.next(project)
        answers.append(insects[name_of(task)][0])
        submit(annotator, task, region(["Insects", answers[-1]]))

    def learned():
        version = house.version(project, house.live(project))
        return version.name if version.head and len(version.tasks) == len(answers) else None

    live = wait_until(learned, 90, "a round from all labels")
    guesses = [p["result"] for p in every_prediction(house.admin, project) if p["model_version"] == live and p["result"]]
    assert {tuple(value) for result in guesses for value in result[0]["value"]["taxonomy"]} <= {
        ("Insects", "ants"),
        ("Insects", "bees"),
        ("Insects",),
    }
    assert {result[0]["type"] for result in guesses} == {"taxonomy"}
    assert annotator.next(project)["id"] in house.queue(project, live)[:2]  # one may be another's for a moment


def test_label_studio_keeps_leaves_and_branches_and_drops_what_is_in_no_tree(house, project):
    task = sorted(house.open_tasks(project))[0]

    def kept(*paths):
        sent = [{"task": task, "result": region(*paths), "score": 0.9, "model_version": "tried"}]
        return house.admin.import_predictions(project, sent)

    assert kept(["Insects", "ants"]) == 1
    assert kept(["Insects"]) == 1
    assert kept(["Others"]) == 1
    assert kept(["Insects", "wasps"]) == 0
    for prediction in every_prediction(house.admin, project):
        if prediction["model_version"] == "tried":
            house.admin.delete_prediction(prediction["id"])


def test_the_editor_ticks_a_leaf_and_stores_its_path(house, project, annotator, chromium):
    task = sorted(house.open_tasks(project))[0]
    live = house.live(project)
    for prediction in every_prediction(house.admin, project):
        if prediction["task"] == task:
            house.admin.delete_prediction(prediction["id"])
    sent = [{"task": task, "result": region(["Insects", "bees"]), "score": 0.0, "model_version": live}]
    assert house.admin.import_predictions(project, sent) == 1
    path = f"/projects/{project}/data?task={task}"
    page = label_studio_page(chromium, house, annotator, path, ".htx-taxonomy, .lsf-taxonomy")
    wait_until(lambda: page.evaluate(TICKED) == ["Bees"], 60, "the leaf is ticked")

    def submitted():
        """The annotation is stored; a slow editor may not have heard the keys yet."""
        if task in house.open_tasks(project):
            page.keyboard.press("Control+Enter")
            page.wait_for_timeout(5000)
        return task not in house.open_tasks(project)

    wait_until(submitted)
    page.context.close()
    (found,) = house.admin.request("GET", f"/api/tasks/{task}/")["annotations"]
    (stored,) = found["result"]
    assert {key: stored[key] for key in ("from_name", "to_name", "type", "value")} == region(["Insects", "bees"])[0]


SEVERAL = """<View><Image name="image" value="$image"/><Choices name="kind" toName="image" choice="multiple">
    <Choice value="ants"/><Choice value="bees"/><Choice value="winged"/></Choices></View>"""
SETS = {"ants": ["ants"], "bees": ["bees", "winged"]}


def ticked(names):
    """A result of several choices as the editor sends it; nothing where none is ticked."""
    value = {"choices": list(names)}
    return [{"from_name": "kind", "to_name": "image", "type": "choices", "value": value}] if names else []


@pytest.fixture(scope="module")
def several(house, insects):
    """A connected project in which an image may be of several classes or of none."""
    project = house.project("Several", first(insects, IMAGES, 2 * IMAGES), ["A", "B"])
    house.admin.patch_project(project, label_config=SEVERAL)
    said = house.cli("connect", "--project", str(project))
    assert "Empty answers: taken" in said
    return project


def test_sets_are_learned_and_come_back_as_pre_annotations(house, several, annotator, insects):
    before = house.live(several)
    submit(annotator, annotator.next(several), ticked([]))
    for _ in range(2 * RETRAIN_AFTER - 1):
        task = annotator.next(several)
        submit(annotator, task, ticked(SETS[insects[name_of(task)][0]]))

    def learned():
        version = house.version(several, house.live(several))
        return version if version.head and len(version.tasks) == 2 * RETRAIN_AFTER else None

    version = wait_until(learned, 90, f"a round from all labels after {before}")
    assert version.labels.dtype == bool
    assert sorted(version.labels.sum(axis=1).tolist())[0] == 0
    guesses = [
        p["result"] for p in every_prediction(house.admin, several) if p["model_version"] == version.name and p["result"]
    ]
    sets = [set(result[0]["value"]["choices"]) for result in guesses]
    assert {"bees", "winged"} in sets
    assert all(found <= {"ants", "bees", "winged"} for found in sets)
    assert annotator.next(several)["id"] in house.queue(several, version.name)[:2]


def test_what_is_ticked_beforehand_can_be_unticked_and_nothing_ticked_is_an_answer(house, several, annotator, chromium):
    editor = Editor(chromium, house, annotator, several, ["ants", "bees", "winged"])
    while not editor.ticked:
        editor.press("ants")
        editor.submit()
    task = editor.task["id"]
    (guess,) = [p for p in editor.task["predictions"] if p["result"]]
    assert set(editor.ticked) == set(guess["result"][0]["value"]["choices"])
    for name in editor.ticked:
        editor.press(name)
    assert editor.ticked == []
    editor.submit()
    (found,) = house.admin.request("GET", f"/api/tasks/{task}/")["annotations"]
    assert found["result"] == []
    house.cli("retrain", "--project", str(several))
    version = house.version(several, house.live(several))
    assert version.labels[version.tasks.tolist().index(task)].tolist() == [False, False, False]
