"""What `up` refuses to start with, and how it tends its parts: quickly, without waiting for one of them, and telling why."""

import http.server
import logging
import os
import signal
import socket
import sys
import threading
import time

import numpy as np
import pytest
from safetensors.numpy import save_file

from backend.__main__ import main
from backend.commands.listening import check_port, listen
from backend.commands.shared import CommandError
from backend.commands.up import LONGEST_PAUSE, Part, Pauses, end, up
from backend.connection.answering import local_url
from backend.project.wanted import check_settings
from backend.records.state import Projects
from backend.settings import SettingsError, get_settings
from model.networks.weights_file import WeightsError
from tests.e2e.conftest import free_port, wait_until


@pytest.fixture
def part():
    """Make parts that run Python code; all are gone in the end."""
    made = []

    def make(code):
        made.append(Part("helper", [code], (sys.executable, "-c")))
        return made[-1]

    yield make
    hurried = threading.Event()
    hurried.set()
    end(made, hurried)


@pytest.fixture
def web():
    """A web server that is no plugin of ours; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def tend_until(condition, *parts, seconds=20):
    def tended():
        for one in parts:
            one.tend()
        return condition()

    wait_until(tended, seconds)


def test_another_service_on_the_port_is_named_with_the_next_step(web, make_settings):
    with pytest.raises(CommandError, match=rf"http://127.0.0.1:{web}: another service .* another PORT, as in PORT={web + 1}"):
        up(make_settings(port=web))


def test_something_that_answers_nothing_on_the_port_is_named(make_settings, monkeypatch):
    monkeypatch.setattr("backend.commands.listening.SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(CommandError, match=f"PORT={port}: something listens there already"):
            check_port(make_settings(port=port), "identity")


@pytest.mark.parametrize(
    ("host", "message"), [("192.0.2.1", "no address of this machine"), ("nowhere.invalid", "no name that this machine knows")]
)
def test_a_host_that_is_not_here_is_named(make_settings, host, message):
    settings = make_settings(host=host, port=free_port(), basic_auth_user="u", basic_auth_pass="p")
    with pytest.raises(CommandError, match=f"HOST={host}.*{message}"):
        listen(settings)


def test_a_free_port_is_fine(make_settings):
    settings = make_settings(port=free_port())
    check_port(settings, "identity")
    with listen(settings) as listening:
        assert listening.getsockname() == ("127.0.0.1", settings.port)


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:9"), ("::1", "http://[::1]:9"), ("0.0.0.0", "http://127.0.0.1:9")],  # noqa: S104
)
def test_the_address_to_ask_on_this_machine(host, url):
    assert local_url(host, 9) == url


def test_wrong_weights_are_refused_before_anything_starts(make_settings, tmp_path):
    settings = make_settings(port=free_port(), model_weights=tmp_path / "nowhere.pth")
    with pytest.raises(WeightsError, match=r"nowhere.pth is no file"):
        up(settings)
    assert not (settings.data_dir / "redis").exists()


def test_a_network_that_is_not_there_is_refused_before_anything_starts(make_settings):
    with pytest.raises(WeightsError, match="There is no network 'vgg61'"):
        up(make_settings(port=free_port(), backbone="vgg61"))


def test_weights_of_another_network_are_not_held_to_be_those_of_resnet50(make_settings, tmp_path):
    save_file({"features.0.weight": np.zeros(1)}, tmp_path / "vgg.safetensors")
    check_settings(make_settings(backbone="vgg16", model_weights=tmp_path / "vgg.safetensors"))


def test_finetune_is_refused_for_a_network_that_cannot_be_retrained(make_settings):
    check_settings(make_settings(finetune="last"))
    with pytest.raises(SettingsError, match="FINETUNE=last, but BACKBONE=vgg16 cannot be retrained on labels"):
        check_settings(make_settings(backbone="vgg16", finetune="last"))


@pytest.mark.parametrize(
    "command", ["up", "serve", "worker", "status", "pause --project 1", "health serve", "resume --project 1"]
)
@pytest.mark.parametrize("data_dir", ["file", "file/data"])
def test_a_data_dir_that_is_a_file_is_one_line(tmp_path, monkeypatch, capsys, command, data_dir):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DATA_DIR", str(tmp_path / data_dir))
    monkeypatch.setenv("PORT", str(free_port()))
    get_settings.cache_clear()
    assert main(command.split()) == 1
    get_settings.cache_clear()
    said = capsys.readouterr().err
    assert said.startswith(f"error: DATA_DIR={tmp_path / data_dir} cannot be used")
    assert said.count("\n") == 1


def test_a_data_dir_below_folders_that_are_not_there_yet_is_made(tmp_path):
    Projects(tmp_path / "a" / "b").prepare()
    assert (tmp_path / "a" / "b" / "projects").is_dir()


def test_what_is_killed_is_back_soon_beside_one_that_keeps_ending(part):
    broken = part("raise SystemExit(3)")
    tend_until(lambda: broken._pauses.times >= 5, broken)  # by now it pauses for 4 s
    good = part("import time; time.sleep(60)")
    killed = good.process
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    began = time.monotonic()
    tend_until(lambda: good.process is not killed, broken, good)
    assert time.monotonic() - began < 3


def test_looking_at_parts_takes_no_time_even_while_one_waits_to_start_again(part):
    broken = part("raise SystemExit(3)")
    broken.process.wait()
    began = time.monotonic()
    for _ in range(100):
        broken.tend()
    assert time.monotonic() - began < 5  # its words alone are waited for for 0.2 s


def test_pauses_grow_while_something_keeps_ending():
    pauses = Pauses()
    waits = [pauses.ended() for _ in range(12)]
    assert waits[0] < 1
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_PAUSE


def test_pauses_start_over_once_it_ran_for_long(monkeypatch):
    pauses = Pauses()
    first, *_ = [pauses.ended() for _ in range(5)]
    monkeypatch.setattr("backend.commands.up.STEADY", -1)
    assert pauses.ended() == first


def test_one_that_keeps_ending_is_reported_with_its_last_words(part, caplog):
    caplog.set_level(logging.ERROR)
    broken = part("import sys; print('first'); sys.exit('error: MODEL_WEIGHTS=x is no file')")
    tend_until(lambda: "in a row" in caplog.text, broken)
    assert "The helper ended with status 1" in caplog.text
    assert "The helper has ended 3 times in a row. It said last: error: MODEL_WEIGHTS=x is no file" in caplog.text
    assert "first" not in caplog.text


def test_a_killed_one_is_told_by_the_signal(part, caplog):
    killed = part("import time; time.sleep(60)")
    os.kill(killed.process.pid, signal.SIGKILL)
    tend_until(lambda: "The helper ended with SIGKILL" in caplog.text, killed)


def test_lines_of_a_part_bear_its_name(part, capsys):
    part("print('well')").process.wait()
    said = ""

    def told():
        nonlocal said
        said += capsys.readouterr().err
        return "helper      | well\n" in said

    wait_until(told, 5)


def test_a_part_that_does_not_stop_is_killed_at_once_when_hurried(part):
    stubborn = part(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    wait_until(lambda: stubborn._last, 5)
    hurried = threading.Event()
    threading.Timer(0.3, hurried.set).start()
    began = time.monotonic()
    end([stubborn], hurried)
    assert time.monotonic() - began < 2
    assert stubborn.process.returncode == -signal.SIGKILL
