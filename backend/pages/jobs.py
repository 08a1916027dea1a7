"""What runs for a project, what failed, and what a person may start or stop."""

from starlette.responses import Response

from backend.pages.visit import Page, Visit
from backend.queue.work import DEPTHS
from backend.status.jobs import describe_job
from backend.status.values import status
from strategies import REGISTRY


def _jobs(visit: Visit) -> Response:
    (p,) = status(visit.house.settings, visit.house.work, only={visit.project or 0})["projects"]
    running = [job | {"text": describe_job(job)} for job in p.get("jobs", [])]
    strategies = _strategies(visit)
    return visit.page("jobs.html", p=p, running=running, strategies=strategies, depths=DEPTHS)


def _strategies(visit: Visit) -> list[str]:
    """Those to choose from. One of somebody's own module is set by `connect`, whose user may run code here anyway."""
    chosen = visit.house.projects.read(visit.project or 0).strategy
    return sorted({*REGISTRY, visit.house.settings.strategy, chosen or visit.house.settings.strategy})


def _act(visit: Visit) -> Response:
    """Do what the pressed button says."""
    house, project, act = visit.house, visit.project or 0, visit.text("act")
    if act in ("pause", "resume"):
        with house.projects.edit(project) as state:
            state.paused = act == "pause"
        if act == "resume":
            house.work.wake("reconcile", project)
    elif act == "retrain":
        house.work.wake("round", project)
    elif act.removeprefix("finetune_") in DEPTHS and house.projects.read(project).live:
        house.work.wake(act, project)
    elif act == "strategy" and visit.text("strategy") in _strategies(visit):
        with house.projects.edit(project) as state:
            state.strategy = visit.text("strategy")
        house.work.wake("round", project)
    else:
        return visit.page("trouble.html", 400, text=f"{act or 'This form'} is nothing that can be done here.")
    return visit.go(f"/projects/{project}/jobs")


PAGES = (Page("/jobs", _jobs), Page("/jobs", _act, "POST"))
