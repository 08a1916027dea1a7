"""The server in this process, without a socket."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from backend.bench.label_studio import label_config
from backend.labelstudio.labelling_config import parse_label_config
from backend.records.state import Projects
from backend.server.app import create_app
from backend.server.protocol import config
from backend.settings import Settings

CONFIG = label_config(["A", "B"])


class InProcess:
    """Sends requests to an application in this process; an exception that it lets through is answered as a server does."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request, and its answer."""
        return asyncio.run(self._send(method, path, **more))

    def post(self, path: str, content: Any, **more: Any) -> httpx.Response:
        """Post `content`: bytes, or an asynchronous iterator of them, which has no Content-Length."""
        return self.request("POST", path, content=content, **more)

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        async with httpx.AsyncClient(transport=self._transport, base_url="http://server") as client:
            return await client.request(method, path, **more)


def connected_app(settings: Settings) -> InProcess:
    """The server, with project 1 connected."""
    with Projects(settings.data_dir).edit(1) as state:
        state.connected, state.live, state.target = True, "al-1-000000", parse_label_config(CONFIG).as_dict()
    return InProcess(create_app(settings))


def server_settings(data_dir: Path, redis_url: str) -> Settings:
    """Settings of a server that cannot reach a Label Studio."""
    return Settings(data_dir=data_dir, redis_url=redis_url, label_studio_url="http://127.0.0.1:1", label_studio_api_key="x")


@pytest.fixture
def app(tmp_path: Path, redis: Any) -> InProcess:
    """The server in this process, with project 1 connected; /predict cannot reach a Label Studio."""
    socket = f"unix://{redis.connection_pool.connection_kwargs['path']}"
    return connected_app(server_settings(tmp_path / "data", socket))


@pytest.fixture
def serve(make_settings: Callable[..., Settings], redis: Any) -> Iterator[Callable[..., httpx.Client]]:
    """Start a server with the given settings; returns a client for it."""
    running = []

    def start(**values: Any) -> httpx.Client:
        here = f"unix://{redis.connection_pool.connection_kwargs['path']}"
        settings = make_settings(**({"redis_url": here} | values))
        server = uvicorn.Server(config(create_app(settings)))
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)  # the first /predict imports torch

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join()
