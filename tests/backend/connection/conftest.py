"""A plugin that answers on loopback, and a desk at which projects are connected to it."""

import pytest
from rq import Worker

from backend.connection import checks
from backend.queue.work import TRAIN
from backend.records.state import Projects
from tests.backend.connection.made_up import Desk, Plugin
from tests.label_studio_in_memory import TOKEN


@pytest.fixture
def serve():
    """Start plugins by their identity."""
    running = []

    def start(identity):
        running.append(Plugin(identity))
        return running[-1]

    yield start
    for plugin in running:
        plugin.server.shutdown()
        plugin.server.server_close()


@pytest.fixture
def desk(label_studio, make_settings, work, serve, monkeypatch):
    """A running plugin, a registered worker, and a project of three images."""
    monkeypatch.setattr(checks, "WORKER_SECONDS", 0.3)
    settings = make_settings(
        label_studio_url=label_studio.url, label_studio_api_key=TOKEN, basic_auth_user="u", basic_auth_pass="p", port=1
    )
    projects = Projects(settings.data_dir)
    projects.prepare()
    Worker([TRAIN], connection=work.redis).register_birth()
    return Desk(label_studio, settings, work, serve(projects.identity()))
