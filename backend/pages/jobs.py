"""What runs for a project, what failed, and what a person may start or stop."""

from starlette.responses import Response

from backend.pages.visit import Page, Visit
from backend.queue.work import DEPTHS
from backend.status.jobs import describe_job, jobs_values
from strategies import REGISTRY


def _jobs(visit: Visit) -> Response:
    """The page asks for itself anew every few seconds: so it is made of what is at hand, without Label Studio and the index."""
    house, project = visit.house, visit.project or 0
    state = house.projects.read(project)
    running = [values | {"text": describe_job(values)} for values in jobs_values(house.work.active(project))]
    return visit.page(
        "jobs.html",
        running=running,
        errors=sorted(state.errors.values(), reverse=True),
        paused=state.paused,
        strategy=state.strategy or house.settings.strategy,
        strategies=_strategies(visit),
        depths=DEPTHS,
    )


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
