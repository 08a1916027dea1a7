"""The command line: `python -m backend COMMAND`."""

import argparse
import json
import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from backend.labelstudio.client import LabelStudioError
from backend.labelstudio.labelling_config import LabelConfigError
from backend.project.state import DataDirError, Projects
from backend.queue.redis_server import RedisUnavailable, connect_redis
from backend.queue.work import DEPTHS, FINETUNE, QUEUES, Work, run_worker
from backend.server.events import SOON
from backend.settings import Settings, SettingsError, get_settings
from backend.simulate.options import ABOUT, add_options

EPILOG = """\
A first session:
  export LABEL_STUDIO_URL=http://localhost:8080 LABEL_STUDIO_API_KEY=<personal access token>
  python -m backend up                       # in a terminal of its own: Redis, server, workers
  python -m backend connect --project 1      # the first queue is published; press "Label All Tasks"
  python -m backend status                   # version, F1 with its interval, what runs

Settings come from the environment or from the file .env; `python -m backend settings` explains each."""

Command = Callable[[argparse.Namespace, Settings], int]


def parser() -> argparse.ArgumentParser:
    """Every command with its help."""
    top = argparse.ArgumentParser(
        prog="python -m backend",
        description="Active learning for Label Studio: the annotator always gets the image that teaches the model most.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Command, text: str, project: bool = False) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        if project:
            command.add_argument("--project", type=int, required=True, metavar="ID", help="number in the project's address")
        return command

    add("up", _up, "Run everything but Label Studio: Redis (unless REDIS_URL is set), server and workers. Ctrl-C stops all.")
    add("serve", _serve, "Run the server that Label Studio calls.")
    worker = add("worker", _worker, "Run one RQ worker.")
    worker.add_argument(
        "queues",
        nargs="*",
        metavar="QUEUE",
        help=f"which queues, in order (default: {' '.join(QUEUES)}); {FINETUNE} takes long: give it a worker of its own",
    )
    health = add("health", _health, "Say whether the server, or the worker, on this host lives; exit status 0 or 1.")
    health.add_argument("part", choices=("serve", "worker"), help="which of the two")
    health.add_argument("queues", nargs="*", metavar="QUEUE", help="those the worker was started with")
    connect = add("connect", _connect, "Connect a project and publish its first queue. Safe to repeat.", project=True)
    connect.add_argument("--strategy", metavar="NAME", help="query strategy for this project (default: STRATEGY)")
    connect.add_argument(
        "--finetune",
        choices=("off", *DEPTHS),
        help="how deep this project's ResNet50 is retrained as labels grow, and by Start Training (default: FINETUNE)",
    )
    add("disconnect", _disconnect, "Put the project's sampling back, remove backend and webhook; labels stay.", project=True)
    status = add("status", _status, "Show each project's version, F1, queue, jobs and errors.")
    status.add_argument("--json", action="store_true", help="for scripts")
    retrain = add("retrain", _retrain, "Run a round now and wait for it.", project=True)
    retrain.add_argument(
        "--finetune",
        choices=DEPTHS,
        help="retrain ResNet50 itself first, its last stage (minutes) or all of it; used only if better than the live version",
    )
    back = add("rollback", _rollback, "Let the queue follow an older version until the next round.", project=True)
    back.add_argument("--to", required=True, metavar="VERSION", help="a version that `status` lists, such as al-3-0a1b2c")
    add(
        "pause",
        _pause,
        "Stop retraining a project; its queue stays with the version it follows.",
        project=True,
    )
    add("resume", _resume, "Take up a paused project again, with every label given meanwhile.", project=True)
    bench = add("bench", _bench, "Measure what each query strategy costs on a large made-up pool, in seconds and memory.")
    bench.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="images in the pool (default: %(default)s)")
    bench.add_argument("--size", type=int, default=200, metavar="N", help="picks asked for (default: %(default)s)")
    bench.add_argument("--batch", type=int, default=10, metavar="N", help="labels before the next query (default: %(default)s)")
    bench.add_argument("--strategies", metavar="A,B", help="which (default: all); names as in STRATEGY")
    bench.add_argument("--folder", type=Path, metavar="DIR", help="where the pool's file is made, 4 KB an image; deleted after")
    bench.add_argument("--json", action="store_true", help="for scripts")
    add_options(add("simulate", _simulate, ABOUT))
    add("settings", _settings, "List every setting, what it means and its current value.")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 well, 1 failed with a message, 2 wrong usage."""
    options = parser().parse_args(arguments)
    try:
        settings = get_settings()
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        return options.run(options, settings)
    except KeyboardInterrupt:
        return 130
    except (
        SettingsError, LabelStudioError, LabelConfigError, RedisUnavailable, DataDirError, RuntimeError, ValueError, LookupError
    ) as error:  # fmt: skip
        print(f"error: {error}", file=sys.stderr)
        return 1


def say(line: str) -> None:
    """A line for the person at the terminal, at once."""
    print(line, flush=True)


def _work(settings: Settings) -> Work:
    return Work(connect_redis(settings), settings.retrain_after)


def _known(settings: Settings, project: int) -> Projects:
    """The projects, of which `project` must be a connected one. Raises RuntimeError."""
    projects = Projects(settings.data_dir)
    if not projects.read(project).connected:
        raise RuntimeError(f"Project {project} is not connected: `python -m backend connect --project {project}`.")
    return projects


def _queues(options: argparse.Namespace) -> tuple[str, ...]:
    unknown = set(options.queues) - {*QUEUES, FINETUNE}
    if unknown:
        raise ValueError(f"unknown queues {', '.join(sorted(unknown))}; there are {', '.join((*QUEUES, FINETUNE))}")
    return tuple(options.queues) or QUEUES


def _up(_: argparse.Namespace, settings: Settings) -> int:
    from backend.commands.up import up

    return up(settings)


def _serve(_: argparse.Namespace, settings: Settings) -> int:
    import uvicorn

    from backend.server.app import create_app

    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, http="h11", access_log=False, log_level="warning")
    return 0


def _worker(options: argparse.Namespace, settings: Settings) -> int:
    queues = _queues(options)
    from backend.jobs import clean, embed, finetune, reconcile, rollback, round  # noqa: F401  once, so that a fork starts at once

    projects, work = Projects(settings.data_dir), _work(settings)
    projects.prepare()

    def rearm(seconds: int) -> None:
        for project in projects.ids():
            if projects.read(project).connected:
                work.wake("reconcile", project, seconds)

    rearm(SOON)  # whatever happened while no worker ran
    run_worker(work.redis, queues, lambda: rearm(settings.reconcile_seconds), settings.log_level)
    return 0


def _health(options: argparse.Namespace, settings: Settings) -> int:
    from backend.commands.health import check_server, check_worker

    if options.part == "serve":
        say(check_server(settings))
    else:
        say(check_worker(connect_redis(settings, seconds=5), _queues(options)))
    return 0


def _connect(options: argparse.Namespace, settings: Settings) -> int:
    from backend.commands.connect import connect
    from backend.commands.status import follow

    work = _work(settings)
    job = connect(settings, work, options.project, say, options.strategy, options.finetune)
    result = follow(work, job)
    state = Projects(settings.data_dir).read(options.project)
    if isinstance(result, dict) and result.get("published") == 0:
        say("Nothing to publish: the project has no unlabelled image that can be read (`status` counts them).")
    if not state.live:
        raise RuntimeError(f"The first queue was not published: {state.last_error or 'see the log of `python -m backend up`'}")
    say(f"The queue follows {state.live}. Open the project and press 'Label All Tasks'.")
    return 0


def _disconnect(options: argparse.Namespace, settings: Settings) -> int:
    from backend.commands.connect import disconnect

    disconnect(settings, _work(settings), options.project, say)
    return 0


def _status(options: argparse.Namespace, settings: Settings) -> int:
    from backend.commands.status import render, status

    found = status(settings, _work(settings))
    say(json.dumps(found, indent=1) if options.json else render(found))
    return 0


def _retrain(options: argparse.Namespace, settings: Settings) -> int:
    from backend.commands.status import describe_finetuned, follow

    _known(settings, options.project)
    work = _work(settings)
    if options.finetune:
        tuned = follow(work, work.wake(f"finetune_{options.finetune}", options.project)) or {}
        if "promoted" not in tuned:
            raise RuntimeError(f"Not retrained: {tuned.get('ignored', '`python -m backend status` says why')}.")
        say(describe_finetuned(tuned))
        if not tuned["promoted"]:
            return 0
    result = follow(work, work.wake("round", options.project)) or {}
    if "version" not in result:
        raise RuntimeError(f"No new version: {result.get('ignored', '`python -m backend status` says why')}.")
    say(f"{result['version']}: trained on {result['labels']} labels, {result['published']} images published")
    return 0


def _rollback(options: argparse.Namespace, settings: Settings) -> int:
    from backend.commands.status import follow
    from model.version_store import VersionStore

    VersionStore(_known(settings, options.project).folder(options.project) / "versions").about(options.to)
    work = _work(settings)
    if not follow(work, work.roll_back(options.project, options.to)):
        raise RuntimeError("Not rolled back: `python -m backend status` says why.")
    say(f"The queue follows {options.to} until the next round. `pause` keeps it there.")
    return 0


def _pause(options: argparse.Namespace, settings: Settings) -> int:
    with _known(settings, options.project).edit(options.project) as state:
        state.paused = True
    say(f"Project {options.project} is paused: the queue stays with the version it follows.")
    return 0


def _resume(options: argparse.Namespace, settings: Settings) -> int:
    with _known(settings, options.project).edit(options.project) as state:
        state.paused = False
    _work(settings).wake("reconcile", options.project)
    say(f"Project {options.project} goes on; labels given meanwhile are in the next round.")
    return 0


def _bench(options: argparse.Namespace, _: Settings) -> int:
    from backend.simulate.bench import NAMES, Bench, as_json, bench, render

    names = tuple(options.strategies.split(",")) if options.strategies else NAMES
    asked = Bench(options.rows, options.size, options.batch, names, options.folder)
    costs = bench(asked, (lambda line: print(line, file=sys.stderr, flush=True)) if options.json else say)
    say(as_json(costs, asked) if options.json else f"\n{render(costs)}")
    return 1 if any(cost.error for cost in costs) else 0


def _simulate(options: argparse.Namespace, settings: Settings) -> int:
    from backend.simulate.command import simulate

    simulate(options, settings, say)
    return 0


def _settings(_: argparse.Namespace, settings: Settings) -> int:
    for name, about in Settings.model_fields.items():
        value = re.sub(r":[^:@/]*@", ":**********@", str(getattr(settings, name)))  # the password in REDIS_URL
        say(f"{name.upper()}={value}\n    {about.description}")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(main())
