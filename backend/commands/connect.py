"""Connecting a Label Studio project to this backend, and undoing it. Safe to repeat."""

import base64
from collections.abc import Callable
from typing import Any

import click

from backend.commands.follow import follow
from backend.commands.shared import CommandError, open_work, project_option, with_settings
from backend.commands.shared import say as say_to_person
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.labelling_config import parse_label_config
from backend.project.state import Projects
from backend.queue.sightings import expect
from backend.queue.work import DEPTHS, Work
from backend.settings import Settings
from strategies import get

TITLE = "Active learning"
SAMPLING = "Uncertainty sampling"
CHANGED = ("sampling", "min_annotations_to_start_training")  # what `disconnect` puts back
SSRF_ADVICE = (
    "Label Studio refuses backends on loopback or private addresses. Start it with these two settings, which keep cloud "
    "metadata addresses blocked:\n"
    "    USE_DEFAULT_BANNED_SUBNETS=false\n"
    "    USER_ADDITIONAL_BANNED_SUBNETS=169.254.0.0/16"
)
Say = Callable[[str], None]


@click.command("connect")
@project_option
@click.option("--strategy", metavar="NAME", help="Query strategy for this project (default: STRATEGY).")
@click.option(
    "--finetune",
    type=click.Choice(("off", *DEPTHS)),
    help="How deep this project's ResNet50 is retrained as labels grow, and by Start Training (default: FINETUNE).",
)
@with_settings
def connect_command(settings: Settings, project: int, strategy: str | None, finetune: str | None) -> None:
    """Connect a project and publish its first queue. Safe to repeat.

    \b
    Examples:
      python -m backend connect --project 1
      python -m backend connect --project 1 --strategy margin+distinct
    """
    work = open_work(settings)
    result = follow(work, connect(settings, work, project, say_to_person, strategy, finetune))
    state = Projects(settings.data_dir).read(project)
    if isinstance(result, dict) and result.get("published") == 0:
        say_to_person("Nothing to publish: the project has no unlabelled image that can be read (`status` counts them).")
    if not state.live:
        raise CommandError(f"The first queue was not published: {state.last_error or 'see the log of `python -m backend up`'}")
    say_to_person(f"The queue follows {state.live}. Open the project and press 'Label All Tasks'.")


@click.command("disconnect")
@project_option
@with_settings
def disconnect_command(settings: Settings, project: int) -> None:
    """Put the project's sampling back, remove backend and webhook; labels stay.

    \b
    Example:
      python -m backend disconnect --project 1
    """
    disconnect(settings, open_work(settings), project, say_to_person)


def connect(
    settings: Settings, work: Work, project: int, say: Say, strategy: str | None = None, finetune: str | None = None
) -> str:
    """Connect `project`: ML backend, webhook with credentials, sampling, first queue.

    Returns the id of the job that publishes: a round the first time, else a reconcile, which changes only what differs.

    Raises LabelStudioError, LabelConfigError, ValueError; each says what to do.
    """
    if strategy:
        get(strategy)
    label_studio = LabelStudio(settings)
    projects = Projects(settings.data_dir)
    projects.prepare()
    info = label_studio.project(project)
    target = parse_label_config(info["label_config"])
    say(f"Project {project}, {info['title']!r}: {info['task_number']} tasks, {len(target.classes)} classes")
    expect(work.redis, project)  # Label Studio calls /setup meanwhile, which refuses projects that nobody connects
    _ml_backend(settings, label_studio, project)
    say(f"ML backend: {settings.backend_url}")
    _webhook(settings, label_studio, project)
    say("Webhook: every label reaches this backend")
    with projects.edit(project) as state:
        if not state.connected:
            state.previous = {name: info[name] for name in CHANGED}
            state.paused = False
        first = not state.live or bool(strategy and strategy != state.strategy)
        state.connected = True
        state.strategy = strategy or state.strategy
        state.finetune = finetune or state.finetune
    label_studio.patch_project(project, sampling=SAMPLING, min_annotations_to_start_training=0)
    say(f"Sampling: {SAMPLING}")
    reconcile = work.wake("reconcile", project, settings.reconcile_seconds if first else 0)
    return work.wake("round", project) if first else reconcile


def disconnect(settings: Settings, work: Work, project: int, say: Say) -> None:
    """Put sampling back, remove backend and webhook. Versions, embeddings and labels stay. Raises LabelStudioError."""
    label_studio = LabelStudio(settings)
    projects = Projects(settings.data_dir)
    with projects.edit(project) as state:
        state.connected = False
        previous = state.previous
    work.forget(project)
    try:
        label_studio.project(project)
    except LabelStudioError as error:
        if error.status != 404:
            raise
        say("The project is gone from Label Studio: there is nothing to put back")
        return
    for webhook in _webhooks(settings, label_studio, project):
        label_studio.request("DELETE", f"/api/webhooks/{webhook['id']}/")
    for backend in _backends(settings, label_studio, project):
        label_studio.request("DELETE", f"/api/ml/{backend['id']}")
    say("Removed the ML backend and its webhook")
    if previous:
        label_studio.patch_project(project, **previous)
        say(f"Sampling: {previous['sampling']}")


def _ml_backend(settings: Settings, label_studio: LabelStudio, project: int) -> None:
    wanted: dict[str, Any] = {"project": project, "url": settings.backend_url, "title": TITLE, "is_interactive": False}
    if settings.credentials:
        user, password = settings.credentials
        wanted |= {"auth_method": "BASIC_AUTH", "basic_auth_user": user, "basic_auth_pass": password}
    else:
        wanted |= {"auth_method": "NONE"}
    existing = _backends(settings, label_studio, project)
    try:
        if existing:
            label_studio.request("PATCH", f"/api/ml/{existing[0]['id']}", json=wanted)
        else:
            label_studio.request("POST", "/api/ml", json=wanted)
    except LabelStudioError as error:
        if error.status == 403 or "SSRF" in str(error).upper() or "banned" in str(error):
            for half_made in _backends(settings, label_studio, project):
                label_studio.request("DELETE", f"/api/ml/{half_made['id']}")
            raise LabelStudioError(f"{error}\n{SSRF_ADVICE}", 403) from error
        if error.status == 400:
            raise LabelStudioError(
                f"{error}\nIs the server up (`python -m backend up`), and is BACKEND_URL right?", 400
            ) from error
        raise


def _webhook(settings: Settings, label_studio: LabelStudio, project: int) -> None:
    """One webhook for all actions, with our credentials: Label Studio makes one with each new backend, but without them."""
    wanted: dict[str, Any] = {"url": _hook_url(settings), "send_payload": True, "send_for_all_actions": True, "is_active": True}
    wanted["headers"] = {}
    if settings.credentials:
        token = base64.b64encode(":".join(settings.credentials).encode()).decode()
        wanted["headers"] = {"Authorization": f"Basic {token}"}
    existing = _webhooks(settings, label_studio, project)
    if not existing:
        label_studio.request("POST", "/api/webhooks/", json=wanted | {"project": project})
        return
    label_studio.request("PATCH", f"/api/webhooks/{existing[0]['id']}/", json=wanted)
    for double in existing[1:]:
        label_studio.request("DELETE", f"/api/webhooks/{double['id']}/")


def _backends(settings: Settings, label_studio: LabelStudio, project: int) -> list[dict[str, Any]]:
    found = label_studio.request("GET", "/api/ml", params={"project": project})
    return [backend for backend in found if backend["url"].rstrip("/") == settings.backend_url]


def _webhooks(settings: Settings, label_studio: LabelStudio, project: int) -> list[dict[str, Any]]:
    found = label_studio.request("GET", "/api/webhooks/", params={"project": project})
    return [hook for hook in found if hook["url"].rstrip("/") == _hook_url(settings) and hook.get("project") == project]


def _hook_url(settings: Settings) -> str:
    return f"{settings.backend_url}/webhook"
