"""Writing a group's labels to Label Studio and taking them back: nothing is lost without a word, nothing is written twice."""

import re

import pytest

from backend.pages.groups.decisions import Decisions
from backend.queue.writing import KEY
from backend.records.groups import Group
from tests.backend.jobs.made_up import run_round
from tests.label_studio_in_memory import TOKEN, Fault

SUBMIT = r"/annotations/$"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr("backend.pages.groups.writing.PAUSE", 0)


@pytest.fixture
def interrupted():
    """A server that dies right after its answers, until it is started again by calling what this gives."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("backend.pages.groups.desk.work_off", lambda *_: None)
        yield patch.undo


def sent(project):
    """The bodies of all annotations that were sent."""
    return [r.body for r in project.studio.requests if r.method == "POST" and re.search(SUBMIT, r.path)]


def test_labels_are_the_persons_own_and_as_label_studios_editor_stores_them(another, project):
    another.open()
    another.label("ants")
    for task, body in zip(project.first, sent(project), strict=True):
        (annotation,) = project.answers(task)
        assert annotation["completed_by"] == 2
        assert "completed_by" not in body
        (region,) = body["result"]
        assert region.keys() == {"id", "from_name", "to_name", "type", "value", "origin"}
        assert region["value"] == {"choices": ["ants"]}
        assert body["was_cancelled"] is False
        assert body["lead_time"] >= 0


def test_rounds_wait_until_the_group_is_written(labeller, project, redis, monkeypatch):
    waiting = []
    keep = Decisions.keep
    monkeypatch.setattr(Decisions, "keep", lambda *given: (waiting.append(redis.exists(key)), keep(*given))[1])
    key = KEY.format(project.session.project)
    labeller.open()
    labeller.label("ants")
    assert waiting[-1] == 1
    assert not redis.exists(key)


def test_a_leaf_of_a_taxonomy_is_written_as_its_path(labeller, project):
    session, path = project.session, ["insects", "ants"]
    leaves = '<Choice value="insects"><Choice value="ants"/><Choice value="bees"/></Choice>'
    control = f'<Taxonomy name="choice" toName="image">{leaves}</Taxonomy>'
    config = f'<View><Image name="image" value="$image"/>{control}</View>'
    project.studio.projects[session.project]["label_config"] = config
    live = run_round(session)
    with session.edit() as state:
        state.live = state.followed = live
    tasks = [row.task for row, *_ in session.index.published.queue(live, 100) if row.task in (*project.first, *project.second)]
    project.store.write(live, [Group("g-1", tuple(tasks), "insects / ants", (), "alike")])
    labeller.open()
    labeller.label("insects / ants")
    regions = [body["result"][0] for body in sent(project)]
    assert [(region["type"], region["value"]) for region in regions] == [("taxonomy", {"taxonomy": [path]})] * len(tasks)


def test_the_time_that_a_person_took_is_shared_among_the_images(labeller, project):
    labeller.open()
    since = int(labeller.form["since"]) - 6
    labeller.press("label", label="ants", since=str(since), **{f"task:{task}": "on" for task in project.first})
    took = {round(body["lead_time"]) for body in sent(project)}
    assert took
    assert took <= {2, 3}


@pytest.mark.parametrize("since", ["", "x", "-5", "9" * 40, "9" * 11])
def test_a_time_that_cannot_be_is_none(labeller, project, since):
    labeller.open()
    labeller.press("label", label="ants", since=since, **{f"task:{task}": "on" for task in project.first})
    assert [body["lead_time"] for body in sent(project)] == [0.0] * 3


def test_what_somebody_else_has_labelled_meanwhile_is_left_out_and_said(labeller, project):
    labeller.open()
    project.studio.label(project.first[0], "bees", completed_by=7)
    labeller.label("ants")
    assert project.labels(*project.first) == [["bees"], ["ants"], ["ants"]]
    assert labeller.said == "2 images labelled ants. Left out: 1 (labelled meanwhile by somebody else)."


def test_a_task_that_still_wants_a_second_label_gets_it(labeller, project):
    labeller.open()
    project.studio.tasks[project.first[0]]["overlap"] = 2
    project.studio.label(project.first[0], "bees", completed_by=7)
    labeller.label("ants")
    assert project.labels(project.first[0]) == [["bees", "ants"]]


def test_what_the_person_has_labelled_meanwhile_is_not_labelled_again(another, project):
    another.open()
    project.studio.tasks[project.first[0]]["overlap"] = 2
    project.studio.label(project.first[0], "bees", completed_by=2)
    another.label("ants")
    assert project.labels(project.first[0]) == [["bees"]]
    assert "1 (you have labelled it already)" in another.said


def test_a_task_that_is_deleted_meanwhile_is_said(labeller, project):
    labeller.open()
    del project.studio.tasks[project.first[0]]
    labeller.label("ants")
    assert "1 (deleted meanwhile)" in labeller.said


def test_a_label_that_fails_once_is_written_the_second_time(labeller, project):
    labeller.open()
    project.studio.faults.append(Fault("POST", SUBMIT, 500, times=1))
    labeller.label("ants")
    assert project.labels(*project.first) == [["ants"]] * 3
    assert labeller.said == "3 images labelled ants."


def test_a_label_that_was_kept_although_label_studio_failed_is_not_written_twice(labeller, project):
    labeller.open()
    project.studio.faults.append(Fault("POST", SUBMIT, 500, done=True, times=1))
    labeller.label("ants")
    assert project.labels(*project.first) == [["ants"]] * 3
    labeller.press("undo")
    assert project.labels(*project.first) == [[], [], []]


def test_what_could_not_be_written_is_said_and_offered_again_and_nothing_twice(labeller, project):
    labeller.open()
    (fault,) = project.studio.faults = [Fault("POST", f"/{project.first[1]}{SUBMIT}", 500, times=99)]
    labeller.label("ants")
    assert project.labels(*project.first) == [["ants"], [], ["ants"]]
    assert "2 images labelled ants. Not written, and offered again: 1 image" in labeller.said
    assert "500" in labeller.said
    fault.times = 0
    assert labeller.open() == [project.first[1]]
    labeller.label("ants")
    assert project.labels(*project.first) == [["ants"]] * 3


def test_a_label_studio_that_is_out_of_order_is_left_alone_soon(labeller, project, monkeypatch):
    monkeypatch.setattr("backend.pages.groups.writing.MOST_FAILED", 1)
    labeller.open()
    project.studio.faults.append(Fault("POST", SUBMIT, 500, times=99))
    labeller.label("ants")
    assert len(sent(project)) == 2
    assert "0 images labelled ants. Not written, and offered again: 3 images" in labeller.said
    project.studio.faults.clear()
    assert labeller.open() == list(project.first)


def test_a_token_that_is_refused_meanwhile_loses_nothing(labeller, project):
    labeller.open()
    person = project.studio.people.pop(TOKEN)
    labeller.label("ants")
    project.studio.people[TOKEN] = person
    assert labeller.open() == list(project.first)
    assert "0 images labelled ants. Not written, and offered again: 3 images" in labeller.said
    assert "log in again" in labeller.said


@pytest.mark.parametrize("path", ["/api/tasks", r"/api/projects/\d+$", "/api/current-user/whoami"])
def test_what_label_studio_cannot_tell_for_a_moment_costs_nothing(labeller, project, path):
    labeller.open()
    project.studio.faults.append(Fault("GET", path, 503, times=1))
    labeller.label("ants")
    assert labeller.said == "3 images labelled ants."


def test_a_deletion_that_fails_once_is_done_the_second_time(labeller, project):
    labeller.open()
    labeller.label("ants")
    project.studio.faults.append(Fault("DELETE", "/api/annotations/", 500, times=1))
    labeller.press("undo")
    assert labeller.said == "Taken back: 3 images labelled ants."


def test_a_class_that_is_no_more_is_not_written(labeller, project):
    labeller.open()
    config = project.studio.projects[project.session.project]
    config["label_config"] = config["label_config"].replace("ants", "aunts")
    labeller.label("ants")
    assert "The class ants is not in the labelling config any more" in labeller.said
    assert sent(project) == []


def test_where_another_answer_is_required_too_nothing_is_written(labeller, project):
    labeller.open()
    config = project.studio.projects[project.session.project]
    also = '<TextArea name="why" toName="image" required="true"/></View>'
    config["label_config"] = config["label_config"].replace("</View>", also)
    labeller.label("ants")
    assert "An answer to why is required too" in labeller.said
    assert sent(project) == []


def test_the_last_groups_are_undone_one_after_the_other(labeller, project):
    labeller.open()
    labeller.label("ants")
    labeller.label("bees", project.second[0])
    assert labeller.press("undo") == list(project.second)
    assert "<span>80 %</span>" in labeller.page  # how sure the head is, as before
    assert labeller.said == "Taken back: 2 images labelled bees."
    assert project.labels(*project.first, *project.second) == [["ants"]] * 3 + [[]] * 3
    assert labeller.press("undo")
    assert project.labels(*project.first) == [[], [], []]
    assert 'id="undo" formnovalidate aria-keyshortcuts="u" disabled' in labeller.page


def test_an_undone_group_can_be_labelled_otherwise(labeller, project):
    labeller.open()
    labeller.label("ants")
    labeller.press("undo")
    labeller.label("bees")
    assert project.labels(*project.first) == [["bees"]] * 3


def test_a_group_of_which_all_was_taken_out_comes_back_by_undo(labeller, project):
    labeller.open()
    assert labeller.label("ants", *project.first) == list(project.second)
    assert labeller.press("undo") == list(project.first)
    assert sent(project) == []


def test_an_undone_group_is_shown_although_the_index_knows_its_labels_already(labeller, project):
    labeller.open()
    labeller.label("ants")
    project.session.sync()
    assert labeller.press("undo") == list(project.first)


@pytest.mark.parametrize("change", [{"ground_truth": True}, {"updated_at": "2030-01-01T00:00:00Z"}, {"completed_by": 7}])
def test_labels_that_somebody_has_touched_since_are_not_taken_back(labeller, project, change):
    labeller.open()
    labeller.label("ants")
    (annotation,) = project.answers(project.first[0])
    annotation |= change
    labeller.press("undo")
    assert project.labels(*project.first) == [["ants"], [], []]
    assert labeller.said == "Taken back: 2 images labelled ants. Not taken back: 1 (it was changed since)."


def test_nobody_undoes_what_others_have_labelled(labeller, another, project):
    labeller.open()
    labeller.label("ants")
    another.open()
    another.press("undo")
    assert project.labels(*project.first) == [["ants"]] * 3


def test_what_a_server_could_not_write_before_it_ended_is_written_with_the_next_page(labeller, project, interrupted):
    labeller.open()
    assert labeller.label("ants") == list(project.second)
    assert labeller.said == "Writing: 0 of 3 as ants."
    assert "data-busy" in labeller.page
    interrupted()
    labeller.browser.get(f"{project.path}/said")
    assert project.labels(*project.first) == [["ants"]] * 3
    labeller.open()
    assert labeller.said == "3 images labelled ants."
    assert "data-busy" not in labeller.page


def test_what_is_undone_before_it_was_written_never_is(labeller, project, interrupted):
    labeller.open()
    labeller.label("ants")
    labeller.press("undo")
    interrupted()
    labeller.open()
    assert sent(project) == []


def test_a_group_that_was_undone_and_decided_anew_before_anything_was_written_is_written_once(labeller, project, interrupted):
    labeller.open()
    labeller.label("ants")
    labeller.press("undo")
    labeller.label("bees")
    interrupted()
    labeller.open()
    assert project.labels(*project.first) == [["bees"]] * 3


def test_the_same_form_sent_twice_is_written_once(labeller, project):
    labeller.open()
    form = labeller.form | {f"task:{task}": "on" for task in project.first} | {"act": "label", "label": "ants"}
    labeller.browser.http.post(project.path, data=form)
    labeller.browser.http.post(project.path, data=form)
    assert project.labels(*project.first) == [["ants"]] * 3


def test_labels_of_people_whose_labels_send_no_webhook_are_looked_for(labeller, project, work):
    labeller.open()
    labeller.label("ants")
    assert work.active(project.session.project) == []
    project.studio.people[TOKEN].organization = None
    labeller.label("bees")
    assert [job.id.split("-")[0] for job in work.active(project.session.project)] == ["reconcile"]
