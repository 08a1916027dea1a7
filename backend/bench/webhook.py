"""How fast webhooks are answered when many come at once and a worker trains.

Label Studio posts a webhook inside the annotator's request, on a connection of its own, and gives it a second. Here 50 posts
are sent at the same moment by one loop that costs the processor next to nothing, so that the server is what is measured.
"""

import json
import os
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np

from backend.bench.child import Child, free_port
from backend.bench.figures import Bench, Row
from backend.bench.plugin import environment
from backend.processes import session_gives_way
from backend.queue.redis_server import EmbeddedRedis
from backend.queue.worker import NICE
from backend.records.state import Projects
from backend.settings import Settings

ROWS = ("webhook.p99", "webhook.p50", "webhook.p99_idle")
BURST, BURSTS = 50, 40
PAUSE = 0.25  # seconds between bursts
GOAL = 50.0
PROJECT = 1
SIDE = 1000  # of the matrices that are multiplied meanwhile


def measure(bench: Bench) -> Iterator[Row]:
    """Milliseconds from opening the connection to the whole answer, percentiles over all posts."""
    settings = Settings(data_dir=bench.folder / "data", store="")
    projects = Projects(settings.data_dir)
    projects.prepare()
    with projects.edit(PROJECT) as state:
        state.connected = True
    port = free_port()
    values = {"DATA_DIR": str(settings.data_dir), "PORT": str(port), "LOG_LEVEL": "WARNING"}
    values |= {"BASIC_AUTH_USER": "bench", "BASIC_AUTH_PASS": "bench"}
    redis = EmbeddedRedis(settings.data_dir)
    server = Child(f"http://127.0.0.1:{port}/health", "The server did not start; its messages are above.")
    redis.start()
    try:
        server.launch([sys.executable, "-m", "backend", "serve"], environment(values), bench.folder, None)
        post = _request(port)
        for _ in range(3):
            burst(port, post)
        idle = _bursts(port, post)
        with training():
            busy = _bursts(port, post)
    finally:
        server.stop()
        redis.stop()
    against = f"{BURST} at once, {BURSTS} times, beside a process that trains on all cores at a worker's priority"
    yield Row.at_most("webhook.p99", float(np.percentile(busy, 99)), "ms", against, GOAL)
    yield Row.at_most("webhook.p50", float(np.median(busy)), "ms", against)
    yield Row.at_most("webhook.p99_idle", float(np.percentile(idle, 99)), "ms", f"{BURST} at once, {BURSTS} times")


@contextmanager
def training() -> Iterator[None]:
    """A process that keeps all cores at linear algebra meanwhile, at the priority of a worker's job."""
    process = get_context("spawn").Process(target=_multiply, daemon=True)
    process.start()
    time.sleep(3)  # until it has imported what it needs
    try:
        yield
    finally:
        process.kill()
        process.join()


def _multiply() -> None:
    os.setsid()  # as `up` starts a worker
    session_gives_way(NICE)
    os.nice(NICE)
    matrix = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
    while True:
        matrix @ matrix


def _bursts(port: int, post: bytes) -> list[float]:
    milliseconds = []
    for _ in range(BURSTS):
        milliseconds += [1000 * seconds for seconds in burst(port, post)]
        time.sleep(PAUSE)
    return milliseconds


def burst(port: int, post: bytes) -> list[float]:
    """Send `post` on BURST connections at once; the seconds until each was answered. Raises RuntimeError on an answer that
    is not 201."""
    waiting = selectors.DefaultSelector()
    answers: dict[socket.socket, bytes] = {}
    seconds = []
    started = time.perf_counter()
    for _ in range(BURST):
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.sendall(post)
        connection.setblocking(False)
        waiting.register(connection, selectors.EVENT_READ, connection)
        answers[connection] = b""
    while answers:
        if not (ready := waiting.select(timeout=30)):
            raise RuntimeError(f"{len(answers)} of {BURST} posts were not answered within 30 s")
        for key, _ in ready:
            connection = key.data
            part = connection.recv(65536)
            answers[connection] += part
            if part:
                continue  # "Connection: close": the end of the answer is that of the connection
            seconds.append(time.perf_counter() - started)
            if not answers.pop(connection).startswith(b"HTTP/1.1 201 "):
                raise RuntimeError("The server did not take a webhook")
            waiting.unregister(connection)
            connection.close()
    return seconds


def _request(port: int) -> bytes:
    """A webhook as Label Studio sends it for one Submit."""
    result = [{"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": ["A"]}}]
    annotation = {"id": 1, "was_cancelled": False, "result": result, "task": 1}
    payload = {"action": "ANNOTATION_CREATED", "project": {"id": PROJECT}, "annotation": annotation, "task": {"id": 1}}
    body = json.dumps(payload).encode()
    head = (
        f"POST /webhook HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Authorization: Basic YmVuY2g6YmVuY2g=\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
