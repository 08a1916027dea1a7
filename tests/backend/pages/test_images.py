"""Thumbnails of tasks' images: whose, how they look, and what stands in their place."""

import base64
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

import pytest
from PIL import Image

from backend.bench.label_studio import label_config
from backend.pages.app import HEADERS
from backend.pages.images import AT_ONCE
from backend.pages.thumbnails import Thumbnails
from model.embeddings.images import ImageError
from tests.conftest import ROOT
from tests.label_studio_in_memory.serving import Person

OTHER = "another.good.token"
ORIENTATION = 0x0112


def picture(width, height, orientation=1, kind="JPEG"):
    """The bytes of an image, red on its left half and blue on its right."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste((255, 0, 0), (0, 0, width // 2, height))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif)
    return buffer.getvalue()


@pytest.fixture
def add(label_studio, session):
    """Adds a task with this image to the project; returns the address of its thumbnail."""

    def task(content, name="photo.jpg"):
        reference = content if isinstance(content, str) else f"/data/upload/{session.project}/{name}"
        if isinstance(content, bytes):
            label_studio.files[reference] = content
        before = set(label_studio.task_ids(session.project))
        sent = [{"data": {"image": reference}}]
        label_studio.client().request("POST", f"/api/projects/{session.project}/import", json=sent)
        session.sync()
        (new,) = set(label_studio.task_ids(session.project)) - before
        return f"/projects/{session.project}/images/{new}"

    return task


def opened(answer):
    """The picture that was answered."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


@pytest.mark.parametrize(("size", "small"), [((1000, 500), (320, 160)), ((300, 3000), (32, 320)), ((40, 20), (40, 20))])
def test_a_thumbnail_has_the_shape_of_its_image_and_is_never_larger(browser, add, size, small):
    assert opened(browser.http.get(add(picture(*size)))).size == small


def test_a_photo_taken_upright_is_shown_upright(browser, add):
    shown = opened(browser.http.get(add(picture(800, 400, orientation=6)))).convert("RGB")
    assert shown.size == (160, 320)
    red, blue = shown.getpixel((80, 40)), shown.getpixel((80, 280))
    assert red[0] > 200 > red[2]
    assert blue[2] > 200 > blue[0]


def test_a_thumbnail_tells_nothing_of_its_files_metadata(browser, add):
    assert not opened(browser.http.get(add(picture(800, 400, orientation=6)))).getexif()


def test_an_image_inside_the_task_is_shown(browser, add):
    uri = "data:image/png;base64," + base64.b64encode(picture(64, 32, kind="PNG")).decode()
    assert opened(browser.http.get(add(uri))).size == (64, 32)


@pytest.mark.parametrize("name", ['"><script>alert(1)</script>.jpg', "a b%20c?d=e#f.jpg", "bild-ü.jpg"])
def test_a_file_may_have_any_name(browser, add, name):
    answer = browser.http.get(add(picture(64, 32), name))
    assert "<script>" not in answer.text
    assert {header: answer.headers[header] for header in HEADERS} == HEADERS


def test_the_browser_keeps_a_thumbnail_and_a_second_look_fetches_nothing(browser, add, label_studio):
    path = add(picture(64, 32))
    first = browser.http.get(path)
    assert "private" in first.headers["cache-control"]
    label_studio.requests.clear()
    again = browser.http.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert not again.content
    assert not [request for request in label_studio.requests if request.path.startswith("/data/")]


def test_another_image_in_the_same_task_has_another_tag(browser, add, label_studio, session):
    path = add(picture(64, 32))
    first = browser.http.get(path)
    task = int(path.rsplit("/", 1)[1])
    label_studio.files["/data/upload/new.jpg"] = picture(10, 30)
    session.index.update([{"id": task, "data": {"image": "/data/upload/new.jpg"}, "annotations": []}], session.target)
    assert opened(browser.http.get(path, headers={"If-None-Match": first.headers["etag"]})).size == (10, 30)


def test_a_task_of_another_project_is_not_shown(browser, add, label_studio, session):
    add(picture(64, 32))
    other = label_studio.add_project(label_config(["cats", "dogs"]), [])
    sent = [{"data": {"image": f"/data/upload/{session.project}/photo.jpg"}}]
    label_studio.client().request("POST", f"/api/projects/{other}/import", json=sent)
    (foreign,) = label_studio.task_ids(other)
    assert browser.http.get(f"/projects/{session.project}/images/{foreign}").status_code == 404
    assert browser.http.get(f"/projects/{other}/images/{foreign}").status_code == 404


@pytest.mark.parametrize("task", [0, 999_999, 2**63, 10**30])
def test_a_task_that_there_is_not_has_a_placeholder(browser, session, task):
    answer = browser.http.get(f"/projects/{session.project}/images/{task}")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("image/svg")


def test_whoever_may_not_see_the_project_sees_no_image_of_it(open_browser, add, label_studio):
    path = add(picture(64, 32))
    assert "Personal access token" in open_browser().get(path)
    label_studio.people[OTHER] = Person(2, "other@example.com", sees=set())
    browser = open_browser()
    browser.log_in(OTHER)
    assert browser.http.get(path).status_code == 404


@pytest.mark.parametrize("content", [b"", b"no image", picture(64, 32)[:100], b"<svg onload='alert(1)'/>", b"<html>"])
def test_a_file_that_is_no_image_has_a_placeholder(browser, add, content):
    answer = browser.http.get(add(content))
    assert answer.status_code == 404
    assert "no picture" in answer.text


def test_an_image_of_too_many_pixels_has_a_placeholder(browser, add):
    buffer = io.BytesIO()
    Image.new("1", (12_000, 9_000)).save(buffer, "PNG")
    assert browser.http.get(add(buffer.getvalue())).status_code == 404


def test_label_studio_out_of_order_leaves_a_placeholder_and_logs_nobody_out(browser, add, label_studio):
    path = add(picture(64, 32))
    browser.get("/")
    label_studio.out_of_order = 500
    answer = browser.http.get(path)
    label_studio.out_of_order = 0
    assert answer.status_code == 502
    assert "no picture" in answer.text
    assert "Log out" in browser.get("/")


def test_many_pictures_are_made_a_few_at_a_time_and_leave_threads_to_all_else(browser, session, monkeypatch):
    released, lock, at_work, most = Event(), Lock(), 0, 0

    def slow(*_):
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        released.wait(20)
        with lock:
            at_work -= 1
        raise ImageError("gone")

    monkeypatch.setattr(Thumbnails, "make", slow)
    path = f"/projects/{session.project}/images/{session.index.tasks.newest()}"
    with browser.http as http, ThreadPoolExecutor(60) as pool:
        asked = [pool.submit(http.get, path) for _ in range(60)]
        answer = http.get(
            "/versions", headers={"Authorization": "Basic c3R1ZGlvOnNlY3JldA=="}
        )  # takes a thread, as /predict does
        waiting = not any(one.done() for one in asked)
        released.set()
    assert answer.status_code == 200
    assert waiting
    assert most == AT_ONCE


def test_pictures_are_made_without_torch():
    loads = "import sys, backend.pages.app, model.heads.head"
    code = f"{loads}; assert not {{'torch', 'openvino'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
