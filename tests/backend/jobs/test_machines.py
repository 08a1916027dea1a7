"""Jobs on machines that share no disk: what one reads, publishes and finds out the others know."""

import pytest
from pydantic import SecretStr

from backend.jobs.embed import embed
from backend.jobs.reconcile import reconcile
from backend.jobs.round import run_round
from backend.labelstudio.client import LabelStudio
from backend.project import embedding, session, shared_index
from backend.project.session import Session
from backend.project.shared_index import Looks, put_there, take_in
from backend.project.sharing import projects_of
from backend.queue.claims import Claims
from backend.server.app import create_app
from backend.settings import get_settings
from backend.status.values import status
from tests.backend.jobs.made_up import Colours
from tests.backend.pages.conftest import Browser
from tests.backend.pages.pictures import shown
from tests.backend.project.made_up import damage


@pytest.fixture
def place(make_place, object_store, monkeypatch):
    """A connected project of 24 photos, of which all is kept in a bucket."""
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: Colours())
    monkeypatch.setattr(shared_index, "_looks", Looks())
    monkeypatch.setattr(shared_index, "FRESH_SECONDS", 0.0)
    place = make_place(24, STORE=object_store.new_folder())
    with projects_of(place.settings).edit(place.project) as state:
        state.connected = True
    return place


@pytest.fixture
def on_machine(place, monkeypatch, tmp_path):
    """Goes to the machine of that number, which has a disk of its own; gives its settings."""

    def go(number):
        monkeypatch.setenv("DATA_DIR", str(tmp_path / f"machine-{number}"))
        get_settings.cache_clear()
        place.settings = get_settings()
        return place.settings

    return go


def served(place, labelled):
    """Tasks in the order in which Label Studio serves them, without those that are labelled."""
    return [task for task in place.predictions(place.live()) if task not in labelled]


def test_a_second_machine_refills_the_queue_of_the_first_and_a_third_shows_it(place, on_machine):
    on_machine(1)
    place.label(0, 1)
    version = place.run(run_round)["version"]
    first = served(place, place.tasks[:2])
    for task in first[:5]:  # half the queue and more
        place.label(place.tasks.index(task))

    on_machine(2)
    with place.session() as held:
        assert held.index.published.scores(version).keys() == set(first)
    assert any("refilled the queue" in line for line in place.run(reconcile))
    after = served(place, [*place.tasks[:2], *first[:5]])
    assert after[:3] == first[5:]
    assert len(after) > 3
    assert len(set(after)) == len(after)

    settings = on_machine(3)
    (told,) = status(settings, place.work)["projects"]
    assert told["tasks"]["labelled"] == 7
    assert told["queue_left"] == len(after)
    app = create_app(settings.model_copy(update={"basic_auth_user": "studio", "basic_auth_pass": SecretStr("secret")}))
    browser = Browser(app)
    browser.get("/")
    browser.log_in()
    assert shown(browser.get(f"/projects/{place.project}/queue")) == after


def test_rounds_on_two_machines_in_turn_lose_no_label_and_no_reason(place, on_machine):
    place.studio.files["/data/upload/3.png"] = b"no image"
    for number, labels in ((1, (0, 1)), (2, (2, 5)), (1, (6, 7)), (2, (8, 9))):
        settings = on_machine(number)
        place.label(*labels)
        place.run(run_round)
    on_machine(3)
    (told,) = status(settings, place.work)["projects"]
    assert told["tasks"]["labelled"] == 8
    assert [problem["count"] for problem in told["problems"]] == [1]
    assert place.run(reconcile) == []  # nothing is left to mend


@pytest.fixture
def begun_at(monkeypatch):
    """From when on each listing of tasks asked for changes; "" for one of all tasks."""
    moments, whole = [], LabelStudio.tasks

    def tasks(self, project, since, *more):
        moments.append(since)
        return whole(self, project, since, *more)

    monkeypatch.setattr(LabelStudio, "tasks", tasks)
    return moments


def test_a_job_whose_index_is_damaged_takes_that_of_the_store(place, on_machine, begun_at):
    settings = on_machine(1)
    place.label(0, 1)
    place.run(run_round)
    begun_at.clear()
    with Session(settings, place.project) as held:
        damage(projects_of(settings).folder(place.project) / "index.sqlite")
        held.sync()
        assert held.index.count() == 24
    assert begun_at
    assert "" not in begun_at


def test_other_machines_are_told_at_once_where_reading_takes_long(place, on_machine, begun_at, monkeypatch):
    monkeypatch.setattr(session, "LONG_SECONDS", 0.0)
    with Session(on_machine(1), place.project) as first, Session(on_machine(2), place.project) as second:
        first.sync()
        take_in(second.shared)
        second.sync()
    assert begun_at.count("") == 1


def test_what_a_machine_has_read_while_another_waited_is_not_read_twice(place, on_machine, begun_at, monkeypatch):
    monkeypatch.setattr(session, "LONG_SECONDS", 0.0)
    elsewhere, claim = on_machine(1), Claims.claim

    def late(self, *claimed):
        with Session(elsewhere, place.project) as first:
            first.sync()
        monkeypatch.setattr(Claims, "claim", claim)
        return claim(self, *claimed)

    monkeypatch.setattr(Claims, "claim", late)
    on_machine(2)
    assert place.run(embed) == 24
    assert begun_at.count("") == 1


def test_a_label_is_not_lost_where_a_snapshot_is_taken_in_while_tasks_are_read(place, on_machine, monkeypatch):
    listed = LabelStudio.tasks
    with Session(on_machine(1), place.project) as first, Session(on_machine(2), place.project) as second:
        for held in (first, second):
            held.sync()
            put_there(held.shared)
        place.label(0)

        def slow(self, *more):
            """Another process of the first machine takes in what the second has read, after a page was read here."""
            yield from listed(self, *more)
            monkeypatch.setattr(LabelStudio, "tasks", listed)
            place.label(1)
            second.sync()
            second.index.update([listed_before], second.target)
            put_there(second.shared)
            take_in(first.shared)

        listed_before = {"id": place.tasks[0], "data": {"image": "/data/upload/0.png"}, "annotations": []}
        monkeypatch.setattr(LabelStudio, "tasks", slow)
        first.sync()
        assert first.index.tasks.labels().keys() == set(place.tasks[:2])
