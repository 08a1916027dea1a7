"""More images like one that a person sends: it is read within limits, by the live version's backbone, and kept nowhere."""

import io
import re

import pytest
from PIL import Image

from backend.pages import find
from backend.project import embedding
from model.networks.weights_file import WeightsError
from tests.backend.jobs.made_up import Colours, photo
from tests.backend.pages.pictures import place, shown, unit


@pytest.fixture
def colours(monkeypatch):
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: Colours())


def send(browser, session, content, **more):
    """Send a file from the form of the page."""
    page = browser.get(f"/projects/{session.project}/find")
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    files = {"image": ("photo.png", content, "image/png")}
    return browser.http.post(f"/projects/{session.project}/find", data={"csrf": csrf} | more, files=files)


@pytest.mark.usefixtures("colours")
def test_the_images_most_like_it_come_first(browser, session):
    tasks = [row.task for row in session.index.rows()]
    reds = tasks[5::3]
    place(session, tasks, [unit(0.6, 0, 0, 1) if task in reds else unit(0, 0, 0.6, 1) for task in tasks])
    answer = send(browser, session, photo(0))  # a red one
    left = set(session.index.tasks.pool()[0].tolist())
    found = shown(answer.text)
    assert set(found) == left
    assert set(found[: len(left & set(reds))]) == left & set(reds)
    assert "More like the image that you sent" in answer.text


@pytest.mark.usefixtures("colours")
def test_it_is_kept_nowhere(browser, session):
    def files():
        return {path for path in session.settings.data_dir.rglob("*") if path.is_file() and ".lock" not in path.name}

    before, embeddings = files(), len(session.store)
    assert send(browser, session, photo(0)).status_code == 200
    session.store.refresh()
    assert {path.name for path in files() - before} <= {"index.sqlite-wal", "index.sqlite-shm"}
    assert len(session.store) == embeddings


@pytest.mark.usefixtures("colours")
@pytest.mark.parametrize("content", [b"<html>", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_image_is_told(browser, session, content):
    answer = send(browser, session, content)
    assert answer.status_code == 400
    assert "not a readable image" in answer.text


@pytest.mark.usefixtures("colours")
def test_an_image_of_too_many_pixels_is_not_decoded(open_browser, session):
    browser = open_browser()
    browser.log_in()
    buffer = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(buffer, "PNG")
    answer = send(browser, session, buffer.getvalue())
    assert (answer.status_code, "MAX_IMAGE_PIXELS" in answer.text) == (400, True)


def test_nothing_sent_is_told(browser, session):
    assert send(browser, session, b"").status_code == 400


@pytest.mark.usefixtures("colours")
def test_a_file_larger_than_the_form_takes_is_refused_unread(browser, session):
    answer = send(browser, session, b"0" * (find.FILE_BYTES + 200_000))
    assert answer.status_code == 413


def test_of_somebody_without_a_login_no_file_is_read(open_browser, session, monkeypatch):
    monkeypatch.setattr("backend.pages.app._sent", None)  # to read would fail
    answer = open_browser().http.post(f"/projects/{session.project}/find", files={"image": ("a.png", photo(0), "image/png")})
    assert answer.url.path == "/login"


@pytest.mark.usefixtures("colours")
def test_a_form_without_its_token_finds_nothing(browser, session):
    assert send(browser, session, photo(0), csrf="another").status_code == 403


def test_other_forms_take_no_file(browser, session):
    browser.get(f"/projects/{session.project}/jobs")
    answer = browser.http.post(f"/projects/{session.project}/jobs", files={"image": ("a.png", photo(0), "image/png")})
    assert answer.status_code == 400


def test_a_backbone_that_cannot_be_had_is_told(browser, session, monkeypatch):
    def gone(*_):
        raise WeightsError("The weights of backbone x are gone: retrain.")

    monkeypatch.setattr(embedding, "get_backbone", gone)
    answer = send(browser, session, photo(0))
    assert (answer.status_code, "are gone: retrain" in answer.text) == (503, True)


def test_before_the_first_queue_the_page_says_so(browser, session):
    with session.edit() as state:
        state.live = ""
    answer = send(browser, session, photo(0))
    assert (answer.status_code, "no queue yet" in answer.text) == (404, True)
