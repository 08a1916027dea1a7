"""Connecting a project, and letting go of it. Both are safe to repeat.

Everything is checked before anything is changed. What was changed is taken back where a later step fails, Ctrl-C included, so
that nothing is left half made.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from redis.exceptions import RedisError

from backend.connection import checks
from backend.connection.checks import CannotConnect, Say
from backend.connection.differences import SAMPLING, WANTED, wanted_settings
from backend.index.moments import moment_of
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.labelstudio.labelling_config import LabelConfig, read_label_config
from backend.labelstudio.wiring import TAB, TITLE, Wiring
from backend.project.sharing import projects_of
from backend.project.wanted import wanted_base
from backend.queue.sightings import expect
from backend.queue.work import Work
from backend.records.kept import keep_weights, versions_of
from backend.records.state import Projects, ProjectState
from backend.settings import Settings
from model.version_store import VersionStore

Wait = Callable[[str], Any]  # waits for a job of that id and returns what it returned
Undo = Callable[[str, Callable[[], object]], None]
EMPTY_IS_REFUSED = "Empty answers: refused by Label Studio's editor until `disconnect`"
EMPTY_MEANS_NONE = "Empty answers: taken, they mean that an image is of none of the classes"
KEPT = (
    "connected",
    "paused",
    "strategy",
    "finetune",
    "control",
    "backbone",
    "forced",
    "made",
)  # of the state, what connecting changes


@dataclass(frozen=True)
class Wishes:
    """What a person asks of `connect`; None leaves a thing as it is. force: use the backbone even where it is no better."""

    strategy: str | None = None
    finetune: str | None = None
    control: str | None = None
    backbone: str | None = None
    force: bool = False


def connect(settings: Settings, work: Work, project: int, say: Say, wait: Wait, wishes: Wishes = Wishes()) -> ProjectState:
    """Connect `project`: ML backend, webhook with credentials, tab, settings, first queue. Returns its state.

    Raises CannotConnect, LabelStudioError, LabelConfigError, StrategyError; each says what to do. Then everything is as before.
    """
    if wishes.strategy:
        checks.check_strategy(wishes.strategy)
    label_studio = LabelStudio(settings)
    projects = projects_of(settings)
    projects.prepare()
    info = label_studio.project(project)
    state = _known(projects, project, info.get("created_at") or "")
    if wishes.backbone:
        wishes = replace(wishes, backbone=checks.check_backbone(settings, projects, wishes.backbone))
    backbone = (state.backbone if wishes.backbone is None else wishes.backbone) or settings.backbone
    checks.check_depth(wishes.finetune or state.finetune or settings.finetune, backbone)
    config = read_label_config(info["label_config"], state.control if wishes.control is None else wishes.control)
    say(f"Project {project}, {info['title']!r}: {info['task_number']} tasks, {len(config.target.classes)} classes")
    for line in describe_controls(config):
        say(line)
    checks.check_address(settings)
    checks.check_server(settings, projects.identity(), say)
    wiring = Wiring(label_studio, project, settings.backend_url, settings.credentials, dict(state.made))
    checks.check_alone(wiring, projects.identity(), state.connected and not state.made, say)
    checks.check_worker(work, say)
    if line := checks.check_images(settings, label_studio, project, config.target):
        say(line)
    versions = versions_of(projects, project, projects.identity()[:3])
    previous = {name: info.get(name) for name in WANTED} | {"model_version": _not_ours(info.get("model_version"), versions)}
    if wishes.backbone and keep_weights(projects, project, wanted_base(settings, wishes.backbone, projects.arithmetic())):
        say(f"Backbone: the weights of {backbone} are kept for all machines, which need not have the file")
    with taking_back(say) as undo:
        now = _note(projects, project, state, wishes, previous, undo)
        expect(work.redis, project)
        undo("the project's settings", lambda: _settings_back(label_studio, projects, project, info, state.previous))
        _wire(wiring, config, say, undo)
        settle = wanted_settings(config.target.may_be_empty)
        label_studio.patch_project(project, **{name: value for name, value in settle.items() if name != "sampling"})
        say(EMPTY_MEANS_NONE if config.target.may_be_empty else EMPTY_IS_REFUSED)
        if not state.connected:
            undo("the waiting jobs", lambda: work.forget(project))
        if wishes.backbone is not None and now.live:
            say(f"Backbone: {backbone} is wanted. Where another one is live, `status` tells how far the way to it is")
        result = wait(_start(work, settings, project, config, state, now))
        now = projects.read(project)
        if not now.live:
            raise CannotConnect(f"The first queue was not published: {now.last_error or 'see the log of `al-backend up`'}")
        label_studio.patch_project(project, sampling=SAMPLING)  # last: until the queue is there, the old order holds
        say(f"Sampling: {SAMPLING}")
    try:
        wiring.delete_doubles()
    except LabelStudioError as error:  # they do no harm but to be told twice, and their address stays known
        say(f"What another address left could not be removed, the next `connect` tries again: {error}")
    with projects.edit(project) as now:
        now.made = wiring.made
    if isinstance(result, dict) and "read" in result:
        say(
            f"Read: {result['read']} of {info['task_number']} tasks. The others follow now, then a queue drawn from all of them"
        )
    elif isinstance(result, dict) and result.get("published") == 0:
        say("Nothing to publish: the project has no unlabelled image that can be read (`status` counts them).")
    return now


def disconnect(settings: Settings, work: Work, project: int, say: Say) -> None:
    """Put the settings back, remove ML backend, webhook and tab; versions and labels stay. Raises LabelStudioError."""
    label_studio = LabelStudio(settings)
    projects = projects_of(settings)
    if project not in projects.ids():  # nothing is kept of what may be a slip of the keys
        label_studio.project(project)
    with projects.edit(project) as state:
        state.connected = False
    work.forget(project)
    try:
        label_studio.project(project)
    except LabelStudioError as error:
        if error.status != 404:
            raise
        say("The project is gone from Label Studio: there is nothing to put back.")
        say(f"`forget --project {project}` removes what is kept of it here.")
        return
    try:
        Wiring(label_studio, project, settings.backend_url, settings.credentials, dict(state.made)).delete_new(set())
        say("Removed the ML backend, its webhook and the tab")
    finally:  # each is tried, whatever becomes of the other
        if state.previous:
            _put_back(label_studio, project, state.previous)
            say(f"Sampling: {state.previous.get('sampling')}")
    with projects.edit(project) as state:
        state.made, state.previous = {}, {}


@contextmanager
def taking_back(say: Say) -> Iterator[Undo]:
    """A block whose steps are taken back, last first, where it does not end well: it tells each by `undo(what, how)`."""
    steps: list[tuple[str, Callable[[], object]]] = []
    try:
        yield lambda what, how: steps.append((what, how))
    except BaseException:
        say("That failed: what was changed is put back")
        for what, how in reversed(steps):
            try:
                how()
            except (LabelStudioError, RedisError, OSError) as error:
                say(f"Could not put back {what}: {error}")
        raise


def describe_controls(config: LabelConfig) -> list[str]:
    """Which control is learned, the others, and what there is to know about empty answers."""
    name = config.control.name
    if not config.others:
        return []
    lines = [f"Learned: {config.control}. Others here: {'; '.join(map(str, config.others))}"]
    if any(not other.problem for other in config.others):
        lines.append("`connect --control NAME` takes another one")
    if not config.control.required and not config.target.may_be_empty:
        lines.append(
            f'{config.control} has no required="true": Label Studio refuses an answer only where all controls are empty, so a '
            f"hotkey that unticks a pre-annotation of {name!r} can still erase a label. Add it to the labelling config; "
            "deliberate empty answers are blocked then, too."
        )
    return lines


def _known(projects: Projects, project: int, created_at: str) -> ProjectState:
    """What is known of the project; nothing, where another one had the same id, as in an earlier installation."""
    state = projects.read(project)
    known, found = moment_of(state.created_at), moment_of(created_at)
    if not known or not found or known == found:
        return state
    with projects.edit(project) as now:
        now.start_over()
        now.connected, now.made, now.previous = False, {}, {}
    return now


def _note(
    projects: Projects, project: int, state: ProjectState, wishes: Wishes, previous: dict[str, Any], undo: Undo
) -> ProjectState:
    """Write to the project's state what is wished, and what was there before; returns it."""
    before = {name: getattr(state, name) for name in KEPT}

    def put_back() -> None:
        with projects.edit(project) as now:
            for name, value in before.items():
                setattr(now, name, value)

    undo("the project's state", put_back)
    with projects.edit(project) as now:
        now.paused = now.paused and now.connected
        now.previous = previous | now.previous  # what an earlier connect found, until it is put back
        now.connected = True
        now.strategy = wishes.strategy or now.strategy
        now.finetune = wishes.finetune or now.finetune
        now.control = now.control if wishes.control is None else wishes.control
        if wishes.backbone is not None:
            now.backbone, now.forced = wishes.backbone, wishes.force
    return now


def _wire(wiring: Wiring, config: LabelConfig, say: Say, undo: Undo) -> None:
    """Make what Label Studio needs to reach us."""
    before = wiring.there()
    undo("ML backend, webhook and tab", lambda: wiring.delete_new(before))
    wiring.put_backend()
    say(f"ML backend: {wiring.url}")
    wiring.put_webhook()
    say("Webhook: every label reaches this backend")
    try:
        wiring.put_view(config.target.data_key)
    except LabelStudioError as error:
        say(f"The Data Manager has no tab {TAB!r}, and nothing depends on it: {error}")
    else:
        say(f"Tab {TAB!r} in the Data Manager: what comes next, in its order")
    say("A percentage beside a version, as in 'al-11, 10.75 %', is a place in the queue, no confidence: the next has the least")


def _start(work: Work, settings: Settings, project: int, config: LabelConfig, before: ProjectState, now: ProjectState) -> str:
    """Start what publishes, and return its job's id: a round where there is no queue yet or another is wished, else a
    reconcile, which changes only what differs."""
    changed = now.strategy != before.strategy or config.target.as_dict() != before.target
    round_needed = not before.live or (changed and not now.paused)
    if before.live and not now.paused and (now.backbone != before.backbone or now.forced):
        work.wake("migrate", project)
    reconcile = work.wake("reconcile", project, settings.reconcile_seconds if round_needed else 0)
    return work.wake("round", project) if round_needed else reconcile


def _settings_back(
    label_studio: LabelStudio, projects: Projects, project: int, info: dict[str, Any], previous: dict[str, Any]
) -> None:
    """Give the project the settings in `info` again. Until that is done, the state keeps what they were."""
    _put_back(label_studio, project, {name: info.get(name) for name in (*WANTED, "model_version")})
    with projects.edit(project) as now:
        now.previous = previous


def _put_back(label_studio: LabelStudio, project: int, previous: dict[str, Any]) -> None:
    """Give the project the settings `previous`; a model version that nothing has any more becomes none."""
    wanted = {name: value for name, value in previous.items() if value is not None and name != "model_version"}
    label_studio.patch_project(project, **wanted)
    version = previous.get("model_version") or ""
    if (label_studio.project(project).get("model_version") or "") == version:
        return
    try:
        label_studio.patch_project(project, model_version=version)
    except LabelStudioError as error:
        if error.status != 400:
            raise
        label_studio.patch_project(project, model_version="")


def _not_ours(version: str | None, versions: VersionStore) -> str:
    """The model version that a project followed before us, "" where that was none or one of ours."""
    return "" if not version or version == TITLE or versions.owns(version) else version


def forget(settings: Settings, work: Work, project: int) -> None:
    """Remove all that is kept of `project` here: versions, embeddings, index, state, waiting jobs."""
    projects = projects_of(settings)
    with projects.edit(project) as state:
        state.connected = False
    work.forget(project)
    projects.forget(project)
