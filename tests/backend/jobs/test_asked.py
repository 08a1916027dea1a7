"""A tie asks one person more, who is served it before everything else; nobody is asked twice, and nobody without end."""

import pytest

from backend.connection.differences import WANTED
from backend.jobs.asked import MOST_MORE
from backend.jobs.reconcile import reconcile
from backend.jobs.rollback import roll_back
from backend.jobs.round import run_round
from backend.settings import get_settings
from tests.backend.jobs.made_up import CLASSES
from tests.label_studio_in_memory import Fault, LabelStudioInMemory
from tests.label_studio_in_memory.serving import Person

pytestmark = pytest.mark.usefixtures("two_versions")
OWNER, BEN, CLEO = 1, 2, 3


def add_people(studio: LabelStudioInMemory, *numbers: int) -> None:
    """Let people join the project."""
    for number in numbers:
        studio.people[f"person.{number}.token"] = Person(number, f"person{number}@example.org")


def next_of(place, person: int) -> int:
    """The task that a person is served."""
    place.studio.client().patch_project(place.project, **WANTED)
    with place.studio.client() as client:
        client.auth = client.http.auth = type(client.auth)(client.url, f"person.{person}.token", client.http)
        return client.request("GET", f"/api/projects/{place.project}/next")["id"]


def tie(place, number: int = 4) -> int:
    """Have the owner and Ben disagree about a photo; returns its task."""
    add_people(place.studio, BEN)
    task = place.tasks[number]
    place.studio.label(task, "ants", completed_by=OWNER)
    place.studio.label(task, "bees", completed_by=BEN)
    return task


def test_a_tie_asks_one_person_more_who_is_served_it_next(place):
    task = tie(place)
    add_people(place.studio, CLEO)
    place.run(reconcile)
    assert place.studio.tasks[task]["overlap"] == 3
    assert next_of(place, CLEO) == task
    assert next_of(place, BEN) != task


def test_the_third_answer_settles_it(place):
    task = tie(place)
    add_people(place.studio, CLEO)
    place.run(reconcile)
    place.studio.label(task, "bees", completed_by=CLEO)
    place.run(reconcile)
    with place.session() as session:
        assert session.index.row(task).label == "bees"
        assert session.index.answers.half_labelled() == []
    assert place.studio.tasks[task]["overlap"] == 3


def test_who_has_skipped_it_is_no_answer_and_not_asked(place):
    task = tie(place)
    place.studio.label(task, None, completed_by=CLEO, was_cancelled=True)
    add_people(place.studio, CLEO)
    place.run(reconcile)
    assert place.studio.tasks[task]["overlap"] == 1  # nobody else is there
    add_people(place.studio, 4)
    place.run(reconcile)
    assert place.studio.tasks[task]["overlap"] == 3
    assert next_of(place, 4) == task


def test_a_round_wakes_what_asks_about_a_tie(place):
    tie(place)
    place.run(run_round)
    assert place.work.redis.exists(f"rq:job:reconcile-{place.project}-0")


def test_nobody_is_asked_where_all_have_answered_and_that_is_noted(place):
    task = tie(place)
    place.run(reconcile)
    assert place.studio.tasks[task]["overlap"] == 1
    with place.session() as session:
        assert session.index.note("ties_alone") == "1"
    add_people(place.studio, CLEO)
    place.run(reconcile)
    with place.session() as session:
        assert session.index.note("ties_alone") == ""


def test_an_image_that_nobody_can_tell_is_not_asked_about_without_end(place):
    task = tie(place)
    add_people(place.studio, *range(3, 20))
    for person in range(3, 15):
        place.run(reconcile)
        if next_of(place, person) == task:
            place.studio.label(task, None, completed_by=person)
    assert place.studio.tasks[task]["overlap"] == 1 + MOST_MORE


def test_a_paused_project_asks_nobody(place):
    task = tie(place)
    add_people(place.studio, CLEO)
    with place.session() as session, session.edit() as state:
        state.paused = True
    place.run(reconcile)
    assert place.studio.tasks[task]["overlap"] == 1


def test_who_is_asked_is_served_it_over_later_rounds_and_roll_backs(place):
    behind = next(number for number in range(4, 20) if place.tasks[number] not in place.predictions(place.first))
    task = tie(place, behind)
    add_people(place.studio, CLEO)
    place.run(reconcile)
    place.label(*(number for number in (20, 21) if number != behind))
    place.run(run_round)
    assert next_of(place, CLEO) == task
    roll_back(place.project, place.first)
    assert place.live() == place.first
    assert next_of(place, CLEO) == task


def test_who_is_asked_sees_no_guess(place):
    task = tie(place)
    add_people(place.studio, CLEO)
    place.run(reconcile)
    for version in (place.live(), place.run(run_round)["version"]):
        results = {p["task"]: p["result"] for p in place.studio.predictions.values() if p["model_version"] == version}
        assert results.pop(task) == []
        assert any(results.values())


def test_what_stands_there_is_not_published_again(place):
    tie(place)
    add_people(place.studio, CLEO)
    place.run(reconcile)
    place.studio.requests.clear()
    place.run(reconcile)
    assert not [r for r in place.studio.requests if "import/predictions" in r.path or r.method == "PATCH"]


def test_a_task_that_was_deleted_meanwhile_costs_nothing_else(place):
    gone, other = tie(place, 4), tie(place, 5)
    add_people(place.studio, CLEO)
    place.studio.faults = [Fault("PATCH", f"/api/tasks/{gone}/", 404)]
    place.run(reconcile)
    assert place.studio.tasks[other]["overlap"] == 3


def test_a_project_that_wants_two_people_serves_half_labelled_tasks_itself(place):
    add_people(place.studio, BEN)
    place.studio.client().patch_project(place.project, maximum_annotations=2)
    task = place.tasks[6]
    place.studio.label(task, "ants", completed_by=OWNER)
    place.run(run_round)
    live = place.live()
    assert task not in place.predictions(live)  # it is labelled, as far as the model goes
    assert next_of(place, BEN) in {task, *place.tasks[:4]}
    with place.session() as session:
        assert task in session.index.answers.half_labelled()
        assert session.index.row(task).label == "ants"


@pytest.fixture
def doubted(place):
    """Twenty-two photos labelled by the owner, one of them by mistake; returns its task. Ben labels one too."""
    add_people(place.studio, BEN)
    place.studio.label(place.tasks[22], CLASSES[0], completed_by=BEN)
    wrong = place.tasks[9]
    for number, task in enumerate(place.tasks[4:22], 4):
        place.studio.label(task, "ants" if task == wrong else CLASSES[number % 2], completed_by=OWNER)
    place.run(run_round)
    return wrong


def test_somebody_else_is_asked_about_a_label_that_is_likely_wrong(place, doubted):
    place.run(reconcile)
    assert place.studio.tasks[doubted]["overlap"] == 2
    assert next_of(place, BEN) == doubted
    assert [task for task in place.tasks if place.studio.tasks[task]["overlap"] > 1] == [doubted]


def test_the_second_answer_settles_it_with_what_the_head_sees(place, doubted):
    place.run(reconcile)
    place.studio.label(doubted, "bees", completed_by=BEN)
    place.run(run_round)
    place.run(reconcile)
    with place.session() as session:
        assert session.index.row(doubted).label == "bees"
    assert place.studio.tasks[doubted]["overlap"] == 2


def test_a_label_that_was_found_right_is_not_asked_about(place, doubted):
    with place.session() as session:
        session.right.add(doubted, "ants")
    place.run(reconcile)
    assert place.studio.tasks[doubted]["overlap"] == 1


def test_where_nobody_else_is_there_no_label_is_asked_about(place, doubted):
    place.studio.people.pop(f"person.{BEN}.token")
    place.run(reconcile)
    assert place.studio.tasks[doubted]["overlap"] == 1


def test_who_has_labelled_nothing_yet_is_asked_about_no_label(place, doubted):
    place.studio.annotations = {n: a for n, a in place.studio.annotations.items() if a["completed_by"] != BEN}
    place.run(reconcile)
    assert place.studio.tasks[doubted]["overlap"] == 1


def test_with_reask_off_no_label_is_asked_about(place, doubted, monkeypatch):
    monkeypatch.setenv("REASK", "off")
    get_settings.cache_clear()
    place.run(reconcile)
    assert place.studio.tasks[doubted]["overlap"] == 1
