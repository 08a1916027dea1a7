"""`status` beside the Label Studio in memory: what differs there, what cannot be used, and what to do next."""

import re
import socket
import time

import pytest

from backend.queue.sightings import sight
from backend.records.state import Projects
from backend.status.text import render
from backend.status.values import status
from tests.backend.jobs.made_up import label_some, run_round, session_on, settings_for
from tests.e2e.conftest import free_port


@pytest.fixture
def house(label_studio, make_settings, work):
    """A connected project of twelve images with a published queue, two of them labelled; and what `status` says of it."""

    class House:
        def values(self, **changes):
            return status(self.session.settings.model_copy(update=changes), work)

        def text(self, **changes):
            return render(self.values(**changes))

        def project(self, **changes):
            return self.values(**changes)["projects"][0]

    with session_on(label_studio, settings_for(make_settings), 12) as session:
        made = House()
        made.session, made.label_studio, made.work, made.number = session, label_studio, work, session.project
        made.tasks = label_some(label_studio, session, 2)
        made.live = run_round(session)
        with session.edit() as state:
            state.live = state.followed = made.live
        yield made


def line(text, name):
    """The lines that begin with `name`, without it."""
    return [found[17:] for found in text.splitlines() if found.startswith(f"  {name:<14} ")]


def test_a_project_as_it_was_made_differs_in_nothing(house):
    assert house.project()["label_studio"] == {
        "state": "there",
        "trouble": "",
        "title": "Insects",
        "tasks": 12,
        "differs": (),
    }
    assert line(house.text(), "differs") == []


def test_the_title_stands_beside_the_number(house):
    assert f"Project {house.number} 'Insects' (connected), strategy random" in house.text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sampling": "Sequential sampling"}, "sampling is 'Sequential sampling'"),
        ({"model_version": "another"}, "Label Studio follows 'another', not al-"),
        ({"enable_empty_annotation": True}, "empty answers may be submitted"),
    ],
)
def test_a_setting_changed_by_hand_is_told(house, change, said):
    house.label_studio.projects[house.number].update(change)
    assert said in "\n".join(line(house.text(), "differs"))


def test_deleted_predictions_are_told_though_the_index_has_them(house):
    house.label_studio.predictions.clear()
    published = len(house.session.index.published.scores(house.live))
    assert f"Label Studio holds 0 predictions of {house.live}, {published} were published" in house.text()


def test_a_deleted_webhook_and_backend_are_told_with_the_way_back(house):
    house.label_studio.webhooks.clear()
    house.label_studio.backends.clear()
    said = "\n".join(line(house.text(), "differs"))
    assert "no webhook to http://127.0.0.1:9090/webhook" in said
    assert "no ML backend at BACKEND_URL=http://127.0.0.1:9090" in said


def test_tasks_that_are_not_known_here_yet_are_told(house):
    house.label_studio.client().request("POST", f"/api/projects/{house.number}/import", json=[{"data": {"image": "/b.jpg"}}])
    assert "Label Studio has 13 tasks, 12 are known here" in house.text()


def test_a_deleted_project_is_gone_and_can_be_forgotten(house):
    del house.label_studio.projects[house.number]
    assert f"Project {house.number} (connected, gone from Label Studio)" in house.text()
    assert line(house.text(), "next") == [
        f"it was deleted, or the token may not see it: `al-backend forget --project {house.number}` removes what is kept"
    ]


def test_without_label_studio_the_rest_is_shown_and_the_cause_said_once(house):
    text = house.text(label_studio_url=f"http://127.0.0.1:{free_port()}")
    assert text.count("Label Studio cannot be asked") == 1
    assert f"live version   {house.live}, 2 labels" in text
    assert "2 labelled, 10 to do" in text


def test_a_label_studio_that_hangs_costs_a_few_seconds_at_most(house, monkeypatch):
    monkeypatch.setattr("backend.connection.comparison.SECONDS", 0.3)
    with Projects(house.session.settings.data_dir).edit(house.number + 1) as state:
        state.connected = True
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        text = house.text(label_studio_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "Label Studio cannot be asked" in text
    assert time.monotonic() - began < 10  # for both projects: without a bound it would be for ever


def test_something_else_at_the_address_is_said(house):
    house.label_studio.answer = lambda _: ["not Label Studio"]
    assert "cannot be asked" in house.text()


def test_without_a_token_the_rest_is_shown(house):
    text = house.text(label_studio_api_key=type(house.session.settings.label_studio_api_key)(""))
    assert "LABEL_STUDIO_API_KEY is not set" in text
    assert "2 labelled, 10 to do" in text


def test_an_empty_answer_is_told_with_the_command_that_asks_again(house):
    task = next(row.task for row in house.session.index.rows() if row.state == "unlabelled")
    house.label_studio.label(task, None)
    house.session.sync()
    (said,) = line(house.text(), "problem")
    assert f"(task {task})" in said
    assert f"`al-backend ask-again --project {house.number} --empty`" in said


def test_an_answer_to_another_control_alone_is_not_told_as_an_empty_one(house):
    task = next(row.task for row in house.session.index.rows() if row.state == "unlabelled")
    item = {"from_name": "old", "to_name": "image", "type": "choices", "value": {"choices": ["ants"]}}
    house.label_studio.label(task, None, result=[item])
    house.session.sync()
    (said,) = line(house.text(), "problem")
    assert "control 'old' is answered, 'choice' is not" in said
    assert "ask-again" not in said


def test_a_label_that_the_config_does_not_have_is_named(house):
    task = next(row.task for row in house.session.index.rows() if row.state == "unlabelled")
    house.label_studio.label(task, "Catfish")
    house.session.sync()
    assert "Catfish" in "\n".join(line(house.text(), "problem"))
    assert "1 with answers that cannot be used" in house.text()


def test_images_that_cannot_be_read_or_in_part_are_told_with_the_reason(house):
    first, second, *_ = house.session.index.rows()
    house.session.index.set_errors({first.key: "404 not found"})
    house.session.index.set_image_notes({second.key: "cut short: 40 of 60 rows"})
    said = "\n".join(line(house.text(), "problem"))
    assert "1 image that cannot be read: 404 not found" in said
    assert "1 image read in part: cut short: 40 of 60 rows" in said


def test_a_project_added_by_hand_is_told_with_what_to_do(house):
    sight(house.work.redis, 77)
    text = house.text()
    assert re.search(
        r"Project 77 \(not connected\): somebody added this backend by hand under Settings > Model, \d s ago", text
    )
    assert "`al-backend connect --project 77` adds what that lacks" in text


def test_an_error_has_its_age(house):
    with house.session.edit() as state:
        state.errors = {"round": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - 125)) + " round: no room"}
    assert re.search(r"  last error     \S+ \S+ \(2 min ago\) round: no room", house.text())


def test_a_damaged_index_costs_no_status(house):
    house.session.index.close()
    path = house.session.projects.folder(house.number) / "index.sqlite"
    path.write_bytes(b"no database" * 1000)
    assert f"live version   {house.live}" in house.text()


def test_a_title_cannot_speak_to_the_terminal(house):
    with house.session.edit() as state:
        state.errors = {"round": "round: \x1b[2Jgone\nProject 9 (connected)"}
    text = house.text()
    assert "\x1b" not in text
    assert "\nProject 9" not in text


@pytest.mark.parametrize(
    ("state", "said"),
    [({"connected": False}, "connect --project"), ({"paused": True}, "resume --project"), ({"live": ""}, "connect --project")],
)
def test_the_next_step_follows_from_the_state(house, state, said, monkeypatch):
    monkeypatch.setattr("backend.status.text._takes_rounds", lambda _: True)
    with house.session.edit() as edited:
        for name, value in state.items():
            setattr(edited, name, value)
    assert said in line(house.text(), "next")[0]


def test_with_all_well_the_next_step_is_to_label(house, monkeypatch):
    monkeypatch.setattr("backend.status.text._takes_rounds", lambda _: True)
    assert line(house.text(), "next") == [f"label: {house.label_studio.url}/projects/{house.number}/data, 'Label All Tasks'"]


def test_without_workers_the_next_step_is_to_start_them(house):
    assert line(house.text(), "next") == ["`al-backend up`: nothing is learned without workers"]
