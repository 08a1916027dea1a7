"""An ML backend that somebody added in Label Studio's own pages: when the server connects the project, and what is said where
it cannot. That it comes to a queue is shown on a real Label Studio (tests/e2e/test_by_hand.py)."""

import threading
import time

import pytest

from backend.connection.checks import CannotConnect
from backend.labelstudio.wiring import TITLE
from backend.queue import sightings
from backend.queue.redis_server import redis_url
from backend.queue.sightings import begin, end, sighted, trouble_with
from backend.records.state import ProjectState
from backend.server import by_hand
from backend.server.app import create_app
from backend.server.by_hand import take_up
from backend.settings import Settings
from tests.backend.server.conftest import CONFIG, InProcess
from tests.label_studio_in_memory import TOKEN

SETUP = {"schema": CONFIG, "hostname": "", "access_token": ""}


@pytest.fixture
def project(label_studio):
    return label_studio.add_project(CONFIG, ["https://images.example/1.jpg"])


@pytest.fixture
def settings(label_studio, redis_settings, tmp_path):
    return Settings(
        data_dir=tmp_path / "data",
        redis_url=redis_url(redis_settings),
        label_studio_url=label_studio.url,
        label_studio_api_key=TOKEN,
    )


@pytest.fixture
def app(settings):
    return InProcess(create_app(settings))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Label Studio need not list the backend for long."""
    monkeypatch.setattr(by_hand, "LISTED_SECONDS", 0)


@pytest.fixture
def connected(monkeypatch):
    """Projects that were really to be connected: that needs workers and images, which are not here."""
    seen = []

    def connect(*arguments):
        seen.append(arguments[2])
        return ProjectState(live="al-1-abcdef")

    monkeypatch.setattr(by_hand, "connect", connect)
    return seen


def at_rest():
    """Wait until no project is being connected."""
    deadline = time.monotonic() + 20
    while any(thread.name.startswith("connect-") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ask(app, project):
    answer = app.request("POST", "/setup", json=SETUP | {"project": f"{project}.1795353865"})
    at_rest()
    return answer


def listed(label_studio, project, url):
    label_studio._add(label_studio.backends, {"project": project, "url": url, "title": "Mine"})


def test_a_project_that_lists_our_backend_is_connected_and_no_longer_counts_as_a_stranger(
    app, label_studio, project, settings, connected, redis
):
    listed(label_studio, project, settings.backend_url)
    assert ask(app, project).status_code == 200
    assert connected == [project]
    assert sighted(redis) == {}


def test_whoever_names_a_project_that_does_not_list_our_backend_changes_nothing(app, label_studio, project, connected, redis):
    listed(label_studio, project, "http://somebody.example:9090")
    before = dict(label_studio.projects[project])
    ask(app, project)
    assert connected == []
    assert label_studio.projects[project] == before
    assert list(sighted(redis)) == [project]


def test_why_it_failed_is_told_when_label_studio_asks_again(app, project, settings):
    ask(app, project)
    answer = ask(app, project)
    assert answer.status_code == 400
    assert f"lists no ML backend at BACKEND_URL={settings.backend_url}" in answer.json()["detail"]


def test_what_connect_says_against_it_is_told(app, label_studio, project, settings, redis, monkeypatch):
    def refuse(*_):
        raise CannotConnect("No worker takes jobs from al-train: start `al-backend up`")

    monkeypatch.setattr(by_hand, "connect", refuse)
    listed(label_studio, project, settings.backend_url)
    ask(app, project)
    assert trouble_with(redis, project).startswith("No worker takes jobs")


def test_a_fault_of_our_own_ends_it_with_a_reason_too(app, label_studio, project, settings, redis, monkeypatch):
    monkeypatch.setattr(by_hand, "connect", lambda *_: 1 / 0)
    listed(label_studio, project, settings.backend_url)
    ask(app, project)
    assert trouble_with(redis, project) == "ZeroDivisionError: division by zero"


def test_a_project_that_the_token_does_not_see_is_told(app, label_studio, project, redis):
    label_studio.projects.clear()
    ask(app, project)
    assert trouble_with(redis, project)


def test_it_is_connected_once_however_often_label_studio_asks(label_studio, project, settings, work, monkeypatch):
    begun, hold = [], threading.Event()
    monkeypatch.setattr(by_hand, "connect", lambda *_: begun.append(1) or hold.wait(10) or ProjectState())
    listed(label_studio, project, settings.backend_url)
    for _ in range(3):
        take_up(settings, work, project)
    hold.set()
    at_rest()
    assert len(begun) == 1


def test_after_a_failure_it_is_tried_again_but_not_at_once(redis, monkeypatch):
    monkeypatch.setattr(sightings, "AGAIN_SECONDS", 1)
    assert begin(redis, 3)
    end(redis, 3, "nobody answers")
    assert not begin(redis, 3)
    assert trouble_with(redis, 3) == "nobody answers"
    deadline = time.monotonic() + 10
    while not begin(redis, 3):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert trouble_with(redis, 3) == ""


def test_the_title_that_people_gave_is_no_matter(label_studio, project, settings):
    listed(label_studio, project, f"{settings.backend_url}/")
    by_hand._check_listed(settings, project)
    assert next(iter(label_studio.backends.values()))["title"] != TITLE
