"""The commands around connecting, as they are typed: what they print, what they ask, and their exit statuses."""

import io
import threading

import pytest

from backend.__main__ import main
from backend.bench.child import free_port
from backend.bench.label_studio import label_config
from backend.commands.connect import waiting
from backend.commands.shared import CommandError
from backend.queue import waiting as waiting_for_jobs
from backend.queue.redis_server import redis_url
from backend.records.state import Projects
from backend.settings import get_settings
from tests.label_studio_in_memory import TOKEN


@pytest.fixture
def settings(monkeypatch, tmp_path, label_studio, redis_settings):
    """The settings that the commands read, with Redis and a Label Studio in memory."""
    values = {
        "LABEL_STUDIO_URL": label_studio.url,
        "LABEL_STUDIO_API_KEY": TOKEN,
        "DATA_DIR": str(tmp_path / "data"),
        "REDIS_URL": redis_url(redis_settings),
        "PORT": str(free_port()),  # at the usual one a plugin may answer, of somebody who tries it beside the tests
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield get_settings()
    get_settings.cache_clear()


@pytest.fixture
def run(settings, redis, capsys, monkeypatch):  # noqa: ARG001  both must be there
    """Run a command, with what a person types; returns its exit status and what it printed."""

    def run(*arguments, answer=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        status = main(list(arguments))
        done = capsys.readouterr()
        return status, done.out + done.err

    return run


def known(settings, label_studio, connected):
    """A project that is known here."""
    project = label_studio.add_project(label_config(["a", "b"]), ["https://images.example/1.jpg"])
    projects = Projects(settings.data_dir)
    projects.prepare()
    with projects.edit(project) as state:
        state.connected = connected
    return project


def test_nobody_at_backend_url_is_the_cause_that_is_told(run, settings, label_studio):
    project = known(settings, label_studio, connected=False)
    _, text = run("connect", "--project", str(project))
    assert "backend up" in text
    assert "USE_DEFAULT_BANNED_SUBNETS" not in text


def test_forget_asks_and_does_nothing_without_a_yes(run, settings, label_studio):
    project = known(settings, label_studio, connected=False)
    status, text = run("forget", "--project", str(project), answer="n\n")
    assert status == 0
    assert f"of project {project}" in text
    assert Projects(settings.data_dir).ids() == [project]


@pytest.mark.parametrize(("arguments", "answer"), [((), "y\n"), (("--yes",), "")])
def test_forget_removes_what_is_kept(run, settings, label_studio, arguments, answer):
    project = known(settings, label_studio, connected=False)
    assert run("forget", "--project", str(project), *arguments, answer=answer)[0] == 0
    assert Projects(settings.data_dir).ids() == []


def test_a_connected_project_is_not_forgotten(run, settings, label_studio):
    project = known(settings, label_studio, connected=True)
    status, text = run("forget", "--project", str(project), "--yes")
    assert status == 1
    assert "disconnect" in text
    assert Projects(settings.data_dir).ids() == [project]


def test_a_project_that_was_deleted_in_label_studio_is_forgotten_though_connected(run, settings, label_studio):
    project = known(settings, label_studio, connected=True)
    label_studio.client().request("DELETE", f"/api/projects/{project}/")
    assert run("forget", "--project", str(project), "--yes")[0] == 0
    assert Projects(settings.data_dir).ids() == []


def test_what_is_not_known_cannot_be_forgotten(run, settings, label_studio):
    known(settings, label_studio, connected=False)
    status, text = run("forget", "--project", "99", "--yes")
    assert status == 1
    assert "Nothing is kept of project 99" in text


def test_ask_again_must_be_told_which(run, settings, label_studio):
    status, text = run("ask-again", "--project", str(known(settings, label_studio, connected=True)))
    assert status == 2
    assert "--empty" in text


def test_ask_again_tells_how_many_and_puts_them_back(run, settings, label_studio):
    project = known(settings, label_studio, connected=True)
    label_studio.label(label_studio.task_ids(project)[0], None)
    assert "1 tasks would be asked again" in run("ask-again", "--project", str(project), "--empty", "--dry-run")[1]
    assert "1 tasks are asked again" in run("ask-again", "--project", str(project), "--empty")[1]
    assert label_studio.annotations == {}


def test_waiting_ends_with_the_first_failure_and_its_reason(settings, label_studio, work):
    project = known(settings, label_studio, connected=True)
    job = work.wake("round", project, 600)

    def fail():
        with Projects(settings.data_dir).edit(project) as state:
            state.errors["round"] = "2026-11-26 08:00:00 round: MODEL_WEIGHTS is no ResNet50"

    threading.Timer(2, fail).start()  # once it waits
    with pytest.raises(CommandError, match="MODEL_WEIGHTS is no ResNet50"):
        waiting(settings, work, project)(job)


def test_an_old_failure_does_not_end_waiting(settings, label_studio, work, monkeypatch):
    project = known(settings, label_studio, connected=True)
    with Projects(settings.data_dir).edit(project) as state:
        state.errors["round"] = "2026-11-26 07:00:00 round: an old one"
    job = work.wake("round", project, 600)
    monkeypatch.setattr(waiting_for_jobs, "NO_WORKER_SECONDS", 0.5)
    with pytest.raises(CommandError, match="no worker takes jobs"):
        waiting(settings, work, project)(job)


def test_force_without_a_backbone_is_wrong_usage(run):
    status, said = run("connect", "--project", "1", "--force")
    assert status == 2
    assert "name it" in said
