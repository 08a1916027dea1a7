"""The server's routes, as Label Studio calls them, over a real socket."""

import base64
import json
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import h11
import pytest

from backend.bench.label_studio import label_config
from backend.queue.redis_server import EmbeddedRedis
from backend.queue.sightings import expect, sight, sighted
from backend.records.state import Projects
from backend.server import app as app_module
from backend.server import bodies
from backend.server.protocol import LONGEST_HEAD
from backend.server.reason import reason_phrase, set_reason

CONFIG = label_config(["A", "B"])


def test_health_is_up_and_says_which_plugin_on_which_data_dir_answers(serve, make_settings):
    identity = Projects(make_settings().data_dir).identity()
    expected = {"status": "UP", "plugin": "label-studio-active-learning", "identity": identity}
    assert serve().get("/health").json() == expected


def test_the_identity_of_a_data_dir_stays_and_tells_nothing_about_it(tmp_path):
    one, other = Projects(tmp_path / "one"), Projects(tmp_path / "other")
    assert one.identity() == Projects(tmp_path / "one").identity() != other.identity()
    assert set(one.identity()) <= set("0123456789abcdef")


def test_setup_names_the_live_version(serve, make_settings):
    with Projects(make_settings().data_dir).edit(3) as state:
        state.connected, state.live = True, "al-4-abcdef"
    answer = serve().post("/setup", json={"project": "3.1795353865", "schema": CONFIG})
    assert answer.json() == {"model_version": "al-4-abcdef"}


def test_a_project_that_connect_is_adding_is_let_in(serve, redis):
    sight(redis, 3)
    expect(redis, 3)
    assert serve().post("/setup", json={"project": "3.1", "schema": CONFIG}).json() == {"model_version": "al-0"}
    assert sighted(redis) == {}


def test_a_config_that_cannot_be_served_is_told_in_the_status_line_which_is_all_label_studio_shows(serve):
    answer = serve().post("/setup", json={"project": "3.1", "schema": "<View><Image name='i' value='$i'/></View>"})
    assert answer.status_code == 400
    assert "needs <Choices>, or a <Taxonomy>, on an <Image>" in answer.reason_phrase


def test_the_next_answer_has_its_own_status_line_again(serve):
    client = serve()
    client.post("/setup", json={"project": "3.1", "schema": "<View/>"})
    assert client.get("/health").reason_phrase == "OK"


@pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook"])
@pytest.mark.parametrize("body", [b"", b"not json", b"[1]", b'{"project": {}}'])
def test_a_body_that_makes_no_sense_is_refused_clearly(serve, path, body):
    answer = serve().post(path, content=body)
    if path == "/predict" and body.startswith(b"{"):
        assert answer.json()["results"] == []
    else:
        assert answer.status_code == 400
        assert answer.json()["detail"]


def test_a_predict_that_cannot_work_still_answers_each_task(serve):
    tasks = [{"id": 1, "data": {"image": "/a.jpg"}}, {"id": 2, "data": {}}]
    answer = serve(label_studio_api_key="").post("/predict", json={"tasks": tasks, "project": "3.1", "label_config": CONFIG})
    assert [(r["result"], r["score"]) for r in answer.json()["results"]] == [([], 1.0), ([], 1.0)]


def test_versions_answer_get_and_post(serve):
    client = serve()
    assert client.get("/versions", params={"project": "3.1"}).json() == {"versions": []}
    assert client.post("/versions", json={"project": "3.1"}).json() == {"versions": []}
    assert client.request("GET", "/versions").json() == {"versions": []}


def test_a_webhook_answers_with_the_job_it_enqueued(serve, make_settings):
    with Projects(make_settings().data_dir).edit(7) as state:
        state.connected = True
    answer = serve().post("/webhook", json={"action": "START_TRAINING", "project": {"id": 7}})
    assert answer.json() == {"job": "round-7-0"}


@pytest.mark.parametrize("route", [("POST", "/setup"), ("POST", "/predict"), ("POST", "/webhook"), ("GET", "/versions")])
@pytest.mark.parametrize("auth", [None, ("u", "wrong"), ("wrong", "p")])
def test_every_route_but_health_asks_for_credentials(serve, route, auth):
    client = serve(basic_auth_user="u", basic_auth_pass="p")
    assert client.request(*route, auth=auth).status_code == 401


def test_health_needs_no_credentials(serve):
    assert serve(basic_auth_user="u", basic_auth_pass="p").get("/health").status_code == 200


def test_right_credentials_are_let_in(serve):
    client = serve(basic_auth_user="u", basic_auth_pass="p:ä")
    assert client.get("/versions", auth=("u", "p:ä")).status_code == 200


def test_a_mangled_authorization_header_is_refused(serve):
    client = serve(basic_auth_user="u", basic_auth_pass="p")
    for value in ("Basic", "Basic !!!", "Bearer dTpw", "Basic dTpw dTpw"):
        assert client.get("/versions", headers={"Authorization": value}).status_code == 401


def test_a_password_is_taken_as_label_studio_sends_it(serve):
    client = serve(basic_auth_user="u", basic_auth_pass="pä")
    for encoding in ("latin-1", "utf-8"):
        token = base64.b64encode("u:pä".encode(encoding)).decode()
        assert client.get("/versions", headers={"Authorization": f"Basic {token}"}).status_code == 200


def test_a_reason_can_neither_break_the_status_line_nor_add_headers(serve):
    wrong = "x\r\nX-Evil: 1\x00\x1b[31m\u0100ä\x85"
    answer = serve().post("/setup", json={"project": wrong, "schema": CONFIG})
    assert answer.status_code == 400
    assert "X-Evil" not in answer.headers
    assert answer.reason_phrase.startswith("project is")


@pytest.mark.parametrize("message", ["a\r\nb", "a\x00b", "a\x7fb\x85", "\ud800", "界", "x" * 5000, "", "\u2028"])
def test_any_message_becomes_a_reason_that_http_allows(message):
    set_reason(message)
    h11.Response(status_code=400, headers=[], reason=reason_phrase())  # raises where it does not
    assert len(reason_phrase()) <= 1000


def raw(client, request):
    """Send bytes as they are, and close; returns the answer's bytes."""
    with socket.create_connection((client.base_url.host, client.base_url.port), 10) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


@pytest.mark.parametrize("line", [b"X-Long: " + b"x" * LONGEST_HEAD, b"X-Short: x\r\n" * (LONGEST_HEAD // 10)])
def test_a_head_without_end_is_refused_before_it_fills_the_memory(serve, line):
    answer = raw(serve(), b"GET /health HTTP/1.1\r\nHost: x\r\n" + line)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"longer than 65536 bytes.")


def test_a_long_body_right_behind_its_head_is_no_long_head(serve):
    body = b" " * (3 * LONGEST_HEAD) + b"{}"
    head = b"POST /setup HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert b"project" in raw(serve(), head + body).split(b"\r\n")[0]


@pytest.mark.parametrize("length", [b"abc", b"-1", b"1, 2", b"99999999999999999999999"])
def test_an_odd_content_length_is_answered_with_4xx(serve, length):
    answer = raw(
        serve(), b"POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " + length + b"\r\n\r\n{}"
    )
    assert answer.startswith(b"HTTP/1.1 4")


def test_a_body_too_large_gets_its_answer_although_it_is_still_being_sent(serve, monkeypatch):
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 100_000)
    client = serve()
    answer = client.post("/predict", content=(b" " * 10_000 for _ in range(2000)))
    assert answer.status_code == 413
    assert "select fewer tasks" in answer.reason_phrase
    assert client.post("/predict", content=b" " * 20_000_000).status_code == 413
    assert client.get("/health").status_code == 200


def test_a_body_that_stops_arriving_is_given_up(serve, monkeypatch):
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    answer = raw(serve(), b"POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 408 The body did not arrive")


@pytest.fixture
def own_redis(tmp_path):
    """A Redis that the test may stop."""
    server = EmbeddedRedis(tmp_path / "own")
    server.start()
    yield server
    with suppress(ProcessLookupError):
        os.kill(server._process.pid, signal.SIGCONT)
    server.stop()


def start_training(client):
    return client.post("/webhook", json={"action": "START_TRAINING", "project": 7})


def test_without_redis_a_webhook_is_told_so_at_once_and_later_goes_on(serve, own_redis, make_settings):
    with Projects(make_settings().data_dir).edit(7) as state:
        state.connected = True
    client = serve(redis_url=f"unix://{own_redis._socket}")
    own_redis.stop()
    started = time.monotonic()
    answer = start_training(client)
    assert time.monotonic() - started < 1
    assert answer.status_code == 503
    assert "Redis does not answer" in answer.reason_phrase
    assert client.post("/setup", json={"project": 7, "schema": CONFIG}).status_code == 200
    own_redis.start()
    assert start_training(client).json() == {"job": "round-7-0"}


REDIS_SECONDS = 4.0  # that webhooks wait for Redis here: long beside what a busy machine takes for a request


def test_a_redis_that_hangs_holds_up_no_other_request(serve, own_redis, make_settings, monkeypatch):
    monkeypatch.setattr(app_module, "REDIS_SECONDS", REDIS_SECONDS)
    with Projects(make_settings().data_dir).edit(7) as state:
        state.connected = True
    client = serve(redis_url=f"unix://{own_redis._socket}")
    os.kill(own_redis._process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor() as threads:
        started = time.monotonic()
        waiting = threads.submit(start_training, client)
        time.sleep(0.1)
        assert client.get("/health").status_code == 200
        assert not waiting.done()
        assert waiting.result().status_code == 503
        assert time.monotonic() - started < 10


def test_webhooks_wait_together_for_a_redis_that_hangs_and_leave_the_threads_to_others(
    serve, own_redis, make_settings, monkeypatch
):
    monkeypatch.setattr(app_module, "REDIS_SECONDS", REDIS_SECONDS)
    with Projects(make_settings().data_dir).edit(7) as state:
        state.connected = True
    client = serve(redis_url=f"unix://{own_redis._socket}")
    os.kill(own_redis._process.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(60) as threads:  # more than the server has threads
        waiting = [threads.submit(start_training, client) for _ in range(50)]
        time.sleep(0.3)
        assert client.post("/setup", json={"project": 7, "schema": CONFIG}).status_code == 200
        assert not any(answer.done() for answer in waiting)
        started = time.monotonic()
        assert {answer.result().status_code for answer in waiting} == {503}
        assert time.monotonic() - started < 3 * REDIS_SECONDS  # one after the other they would take 50 times as long


def test_a_data_dir_that_cannot_be_used_is_named(app, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Projects, "read", refuse)
    answer = app.post("/setup", json.dumps({"project": 1, "schema": CONFIG}).encode())
    assert answer.status_code == 503
    assert "DATA_DIR" in answer.json()["detail"]


def test_a_fault_of_our_own_is_a_sentence_and_no_traceback(app, monkeypatch):
    monkeypatch.setattr(Projects, "read", lambda *_: 1 / 0)
    answer = app.post("/setup", json.dumps({"project": 1, "schema": CONFIG}).encode())
    assert answer.status_code == 500
    assert answer.json() == {"detail": "A fault of the active-learning backend: its log says more"}
