"""Who gets in, what they see, and what is kept of them."""

import time

import pytest

from backend.pages.app import HEADERS
from backend.pages.policy import POLICY
from tests.label_studio_in_memory import TOKEN
from tests.label_studio_in_memory.serving import Person

OTHER = "another.good.token"


def test_a_stranger_is_asked_to_log_in(open_browser, session):
    for path in ("/", f"/projects/{session.project}", f"/projects/{session.project}/jobs"):
        assert "Personal access token" in open_browser().get(path)


def test_the_credentials_of_the_backend_open_what_label_studio_calls_and_no_page(open_browser, browser):
    stranger = open_browser().http
    assert stranger.get("/login").status_code == 200
    assert stranger.get("/versions").status_code == 401
    assert browser.http.get("/versions").status_code == 401
    with_credentials = {"Authorization": "Basic c3R1ZGlvOnNlY3JldA=="}
    assert stranger.get("/versions", headers=with_credentials).status_code == 200
    assert "Personal access token" in stranger.get("/", headers=with_credentials).text


def test_a_token_that_label_studio_takes_opens_the_projects(open_browser):
    page = open_browser().log_in()
    assert "Insects" in page
    assert "owner@example.com" in page


@pytest.mark.parametrize("token", ["", "wrong.token.here", "with space", "ünicode", "x" * 5000, "a\r\nb"])
def test_another_token_is_refused_with_the_next_step(open_browser, token):
    browser = open_browser()
    answer = browser.send("/login", token=token)
    assert answer.status_code == 401
    assert "make a new personal access token" in answer.text
    assert "Personal access token" in browser.get("/")


def test_people_see_the_projects_that_they_see_in_label_studio(open_browser, label_studio, session):
    label_studio.people[OTHER] = Person(2, "other@example.com", sees=set())
    browser = open_browser()
    assert "Insects" not in browser.log_in(OTHER)
    answer = browser.http.get(f"/projects/{session.project}/jobs")
    assert answer.status_code == 404
    assert "Insects" not in answer.text


def test_nothing_on_redis_tells_the_token(browser, redis):
    kept = {key: redis.get(key) for key in redis.keys("al:login:*")}
    assert len(kept) == 1
    for key, value in kept.items():
        assert TOKEN.encode() not in value
        assert browser.http.cookies["al_login"].encode() not in key + value
        assert 0 < redis.ttl(key) <= 12 * 3600


def test_who_logs_out_is_out_and_forgotten(browser, redis):
    browser.get("/")
    cookie = browser.http.cookies["al_login"]
    browser.send("/logout")
    browser.http.cookies.set("al_login", cookie)
    assert "Personal access token" in browser.get("/")
    assert redis.keys("al:login:*") == []


def test_a_token_that_was_taken_back_is_told_as_such(browser, label_studio, monkeypatch):
    monkeypatch.setattr("backend.pages.accounts.SEEN_SECONDS", -1)
    del label_studio.people[TOKEN]
    assert "log in again" in browser.get("/")


def test_a_cookie_of_ones_own_making_opens_nothing(open_browser):
    browser = open_browser()
    browser.http.cookies.set("al_login", "x" * 43)
    assert "Personal access token" in browser.get("/")


def test_the_cookie_is_for_this_site_and_no_script(open_browser):
    answer = open_browser().http.post("/login", data={"token": TOKEN}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("path", ["/login", "/", "/static/style.css", "/projects/999/queue", "/projects/nothing"])
def test_every_answer_tells_browsers_what_they_may_do(browser, path):
    answer = browser.http.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert not any("unsafe" in value for value in POLICY.values())


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
@pytest.mark.parametrize("path", ["/login", "/logout", "/projects/1/jobs"])
def test_forms_of_other_sites_do_nothing(browser, headers, path):
    browser.get("/")
    answer = browser.http.post(path, data={"csrf": "", "token": TOKEN, "act": "pause"}, headers=headers)
    assert answer.status_code == 403


def test_a_form_without_its_secret_does_nothing(browser, session):
    answer = browser.http.post(f"/projects/{session.project}/jobs", data={"act": "pause", "csrf": "guessed"})
    assert answer.status_code == 403
    assert not session.projects.read(session.project).paused


def test_label_studio_that_does_not_answer_is_told(browser, label_studio, monkeypatch):
    monkeypatch.setattr("backend.pages.accounts.SEEN_SECONDS", -1)
    label_studio.out_of_order = 500
    for path in ("/", "/projects/1", "/projects/1/jobs"):
        answer = browser.http.get(path)
        assert answer.status_code == 502
        assert "Label Studio" in answer.text


def test_redis_that_does_not_answer_is_told(browser, monkeypatch):
    def refuse(*_, **__):
        from redis.exceptions import ConnectionError as Refused

        raise Refused("gone")

    monkeypatch.setattr("backend.pages.accounts.Accounts.of", refuse)
    answer = browser.http.get("/")
    assert answer.status_code == 503
    assert "Redis does not answer" in answer.text


def test_a_label_studio_that_hangs_is_not_waited_for(open_browser, label_studio, monkeypatch):
    monkeypatch.setattr("backend.pages.accounts.ASK_SECONDS", 0.2)
    monkeypatch.setattr(label_studio, "answer", lambda _: time.sleep(3))
    started = time.monotonic()
    assert open_browser().send("/login", token=TOKEN).status_code == 502
    assert time.monotonic() - started < 2.5
