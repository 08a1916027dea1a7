"""Whatever answers, and however, each link gets a finding: never a traceback, and never for long."""

import socket
import threading
from contextlib import contextmanager

import pytest

from backend.doctor import case, examination, links
from backend.doctor.examination import Check, examine
from backend.doctor.finding import WRONG, ok
from backend.doctor.links import OF_A_PROJECT, SHARED

LONG = "x" * 5000


@contextmanager
def always(answer):
    """A server that answers everything with the bytes `answer` and closes; None to answer nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            held = []
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                held.append(connection)
                if answer is not None:
                    connection.recv(65_536)
                    connection.sendall(answer)
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def http(body, status="200 OK", kind="application/json"):
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
    )


ANSWERS = {
    "a web page": http("<!doctype html><html>hello</html>", kind="text/html"),
    "half JSON": http('{"release": "1.2'),
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    "no HTTP": b"\x00\x01SSH-2.0\r\n",
    "a list": http("[]"),
    "null": http("null"),
    "a release that is a number": http('{"release": 7}'),
    "deep JSON": http("[" * 20_000),
    "an error": http("{}", "500 Internal Server Error"),
    "a redirect to nowhere": b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_something_else_than_label_studio_is_told(house, name):
    with always(ANSWERS[name]) as url:
        house.change(label_studio_url=url)
        broken = house.broken(project=house.number)
    assert set(broken) == {"Label Studio"}
    assert "LABEL_STUDIO_URL" in f"{broken['Label Studio'].seen} {broken['Label Studio'].next_step}" or "500" in str(broken)


def test_a_label_studio_that_hangs_is_told_within_its_time(house, monkeypatch):
    monkeypatch.setattr(case, "ANSWER_SECONDS", 0.3)
    with always(None) as url:
        house.change(label_studio_url=url)
        assert "does not answer" in house.broken(project=house.number)["Label Studio"].seen


@pytest.mark.parametrize("answer", [[], {}, "text", 7, None, [[1]], {"results": 3}, [{"id": "x"}], {"sampling": None}], ids=str)
def test_a_label_studio_that_answers_otherwise_is_told(house, answer):
    right = house.studio.answer
    house.studio.answer = lambda request: right(request) if "version" in request.path or "token" in request.path else answer
    broken = house.broken(project=house.number)
    assert any(found.state == WRONG for found in broken.values())


@pytest.mark.parametrize("path", ["/api/ml", "/api/webhooks/", "/api/tasks", "/api/projects/"])
@pytest.mark.parametrize(
    "answer", [[{}], [None], {"tasks": [None]}, [{"url": 7, "id": []}], {"title": LONG, "sampling": {}}], ids=str
)
def test_odd_rows_cost_their_own_link_and_those_that_need_it(house, path, answer):
    right = house.studio.answer
    house.studio.answer = lambda request: answer if request.path.startswith(path) else right(request)
    found = house.findings(project=house.number)
    assert len(found) == len(SHARED) + len(OF_A_PROJECT)
    assert any(finding.state == WRONG for finding in found)


def test_a_look_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(examination, "SILENT_SECONDS", 0.1)
    never, said = threading.Event(), []
    checks = [Check("stuck", lambda _: never.wait(), seconds=0.2), Check("next", lambda _: ok("fine"))]
    stuck, following = examine(checks, None, set(), None, said.append)
    never.set()
    assert (stuck.state, following.state) == (WRONG, "ok")
    assert "nothing came of looking at stuck within" in stuck.seen
    assert said[0].startswith("looking at stuck ...")


def test_every_link_depends_on_links_before_it():
    seen = set()
    for check in (*links.SHARED, *links.OF_A_PROJECT):
        assert set(check.needs) <= seen
        seen.add(check.link)
