"""What the pages of a project say and do."""

import pytest

from backend.pages.visit import with_commands
from tests.backend.jobs.made_up import session_on

EVIL = '<script>alert("x")</script>'


def test_each_project_says_what_it_needs_now(browser):
    assert "nothing is learned without workers" in browser.get("/")


def test_a_project_that_was_connected_a_moment_ago_is_shown_at_once(browser, session, label_studio):
    browser.get("/")  # what this token sees is known now
    with session_on(label_studio, session.settings, 2) as new:
        assert browser.http.get(f"/projects/{new.project}").status_code == 200
        assert f'href="/projects/{new.project}"' in browser.get("/")


def test_texts_of_people_are_shown_as_text(browser, label_studio, session, monkeypatch):
    monkeypatch.setattr("backend.pages.accounts.SEEN_SECONDS", -1)
    label_studio.projects[session.project]["title"] = EVIL
    with session.edit() as state:
        state.errors["round"] = f"2026-11-26 08:30:00 round: {EVIL} `{EVIL}`"
    for path in ("/", f"/projects/{session.project}", f"/projects/{session.project}/jobs"):
        page = browser.get(path)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_the_overview_says_what_is_known(browser, session):
    page = browser.get(f"/projects/{session.project}")
    assert "4 labelled, 8 to do" in page
    assert session.state.live in page
    assert "<dt>When to stop</dt><dd>Macro F1 not measured yet" in page


def test_the_queue_goes_back_to_a_version_that_a_person_chooses(browser, session, work):
    path = f"/projects/{session.project}/versions"
    assert "follows it" in browser.get(path)
    browser.send(path, version=session.state.live)
    assert [job.id.split("-")[0] for job in work.active(session.project)] == ["rollback"]


def test_a_version_that_is_not_there_is_refused(browser, session, work):
    path = f"/projects/{session.project}/versions"
    browser.get(path)
    assert browser.send(path, version="al-9-ffffff").status_code == 400
    assert work.active(session.project) == []


def test_a_project_is_paused_and_resumed(browser, session):
    path = f"/projects/{session.project}/jobs"
    browser.get(path)
    browser.send(path, act="pause")
    assert session.projects.read(session.project).paused
    browser.send(path, act="resume")
    assert not session.projects.read(session.project).paused


@pytest.mark.parametrize(("act", "kind"), [("retrain", "round"), ("finetune_last", "finetune_last")])
def test_a_button_starts_the_job_that_it_names(browser, session, work, act, kind):
    path = f"/projects/{session.project}/jobs"
    browser.get(path)
    assert kind in browser.send(path, act=act).text
    assert [job.id.rsplit("-", 2)[0] for job in work.active(session.project)] == [kind]


def test_the_next_step_leads_to_label_studio_and_nowhere_else():
    said = with_commands("`retrain`, http://studio/projects/1/data, 'All' or http://evil/<b>", "http://studio")
    link = '<a href="http://studio/projects/1/data" rel="noreferrer">http://studio/projects/1/data</a>'
    assert said == f"<code>retrain</code>, {link}, &#39;All&#39; or http://evil/&lt;b&gt;"


def test_another_strategy_is_used_from_the_next_round_on(browser, session):
    path = f"/projects/{session.project}/jobs"
    browser.get(path)
    browser.send(path, act="strategy", strategy="margin")
    assert session.projects.read(session.project).strategy == "margin"


@pytest.mark.parametrize("values", [{"act": "explode"}, {}, {"act": "strategy", "strategy": "os:system"}])
def test_what_no_button_sends_is_refused(browser, session, values):
    path = f"/projects/{session.project}/jobs"
    browser.get(path)
    assert browser.send(path, **values).status_code == 400


def test_pages_that_are_looked_at_again_and_again_ask_label_studio_nothing(browser, session, label_studio):
    browser.get("/")  # what the person may see is known for a while
    before = len(label_studio.requests)
    assert session.state.live in browser.get(f"/projects/{session.project}/versions")
    assert "Retrain now" in browser.get(f"/projects/{session.project}/jobs")
    assert len(label_studio.requests) == before


def test_the_list_of_projects_asks_label_studio_nothing_about_each(browser, session, label_studio):
    """With many projects that took longer than anybody waits."""
    browser.get("/")
    before = len(label_studio.requests)
    assert f"/projects/{session.project}" in browser.get("/")
    assert len(label_studio.requests) == before


def test_a_form_without_end_is_not_read(browser):
    assert browser.http.post("/login", data={"token": "x" * 200_000}).status_code == 413
