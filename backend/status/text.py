"""The values of `status` as lines for people."""

import re
from datetime import datetime
from typing import Any

from backend.connection.comparison import GONE, THERE, UNREACHABLE
from backend.queue.work import QUEUES, TRAIN
from backend.records.outcome import DEPTH_NAMES, describe_finetuned, describe_migration
from backend.status.accepting import audit_text, checks_text
from backend.status.figures import accuracy, f1, live_version, outlook
from backend.status.jobs import describe_job
from backend.status.people import people_text
from backend.status.stopping import stopping_text

STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (.*)", re.DOTALL)  # an error begins with its time
CONNECT = "`al-backend connect --project {}`"


def render(found: dict[str, Any]) -> str:
    """The lines of `status` from what it has `found`, all projects."""
    lines = [_workers(found["workers"])]
    lines += [f"  {worker['name']} takes no job: {worker['unfit']}" for worker in found["workers"] if worker["unfit"]]
    if trouble := _unreachable(found):
        lines.append(f"Label Studio cannot be asked, so what follows is what was known last: {trouble}")
    if not found["projects"] and not found["sighted"]:
        lines.append(f"No project is connected: {CONNECT.format('ID')}.")
    for project in found["projects"]:
        lines += ["", *_project(project, found)]
    for project, by_hand in found["sighted"].items():
        when = age(by_hand["seen"])
        lines += [
            "",
            f"Project {project} (not connected): somebody added this backend by hand under Settings > Model, {when}",
        ]
        if by_hand["trouble"]:
            lines.append(f"  trouble        {by_hand['trouble']}")
        lines.append(f"  next           {CONNECT.format(project)} adds what that lacks: webhook, sampling, queue")
    return "\n".join(printable(line) for line in lines)


def printable(line: str) -> str:
    """A line that no title and no label can break or make into commands to the terminal."""
    return "".join(character if character.isprintable() else " " for character in line)


def _workers(workers: list[dict[str, Any]]) -> str:
    text = f"Workers: {len(workers)}"
    if not workers:
        return f"{text}  (none: `al-backend up` starts them)"
    idle = [queue for queue in QUEUES if not any(queue in worker["queues"] for worker in workers if not worker["unfit"])]
    return f"{text}  (none takes {', '.join(idle)}: `al-backend worker {' '.join(idle)}`)" if idle else text


def _unreachable(found: dict[str, Any]) -> str:
    """Why Label Studio could not be asked about any project, "" where it could."""
    views = [project["label_studio"] for project in found["projects"] if "label_studio" in project]
    if views and all(view["state"] == UNREACHABLE for view in views):
        return str(views[0]["trouble"])
    return ""


def _project(p: dict[str, Any], found: dict[str, Any]) -> list[str]:
    if "unknown" in p:
        return [f"Project {p['project']} (unknown)", f"  problem        {p['unknown']}"]
    tasks, view = p["tasks"], p["label_studio"]
    title = f" {view['title']!r}" if view["title"] else ""
    live = live_version(p)
    more = outlook(live)
    accepted = f"{tasks['accepted']} accepted from the model, " if tasks["accepted"] else ""
    ahead = f", {p['ahead']} of them sent to the head by people" if p["ahead"] else ""
    lines = [
        f"Project {p['project']}{title} ({', '.join(_words(p))}), strategy {p['strategy']}",
        f"  live version   {_live(p['live'], live)}",
        f"  backbone       {_backbone(p['backbone'])}",
        f"  macro F1       {f1(live)}",
        *([f"  accuracy       {right}"] if (right := accuracy(live)) else []),
        f"  {more.name:<14} {more.text}",
        *([f"  when to stop   {stopping}"] if (stopping := stopping_text(p)) else []),
        f"  tasks          {tasks['labelled']} labelled, {accepted}{tasks['unlabelled']} to do, {tasks['skipped']} skipped, "
        f"{tasks['unusable']} with answers that cannot be used, {tasks['unreadable']} unreadable",
        f"  queue          {p['queue_left']} images left in order{ahead}; {p['pending_labels']} labels wait for the next round",
        f"  versions       {', '.join(version['name'] for version in p['versions']) or 'none yet'}",
    ]
    lines += [f"  people         {waits}"] if (waits := people_text(p["people"])) else []
    lines += [f"  checks         {checks_text(checks)}"] if (checks := p["accepting"]["checks"]) else []
    lines += [f"  warning        {warning}"] if (warning := audit_text(p["project"], p["accepting"]["audits"])) else []
    lines += [f"  fine-tuned     {describe_finetuned(p['finetuned'])}"] if p["finetuned"] else []
    lines += [f"  switch         {describe_migration(p['migration'], p['project'])}"] if p["migration"] else []
    lines += [f"  {job['status']:<14} {describe_job(job)}" for job in p["jobs"]]
    lines += [f"  differs        {text}" for text in view["differs"]]
    lines += [f"  problem        {_problem(p['project'], problem)}" for problem in p["problems"]]
    if view["state"] == UNREACHABLE and not _unreachable(found):
        lines.append(f"  problem        Label Studio cannot be asked about it: {view['trouble']}")
    lines += [f"  last error     {_error(error)}" for error in p["errors"]]
    lines.append(f"  next           {next_step(p, found)}")
    return lines


def problems(p: dict[str, Any]) -> list[str]:
    """What is not as it should be with a project, a sentence each: what differs, what cannot be used, what failed last."""
    if "unknown" in p:
        return [p["unknown"]]
    view = p["label_studio"]
    warning = audit_text(p["project"], p["accepting"]["audits"])
    told = [*([warning] if warning else []), *view["differs"], *(_problem(p["project"], problem) for problem in p["problems"])]
    told += [f"Label Studio cannot be asked about it: {view['trouble']}"] if view["state"] == UNREACHABLE else []
    return told + [_error(error) for error in p["errors"]]


def _words(p: dict[str, Any]) -> list[str]:
    words = ["connected" if p["connected"] else "not connected"]
    words += ["paused"] if p["paused"] else []
    words += ["gone from Label Studio"] if p["label_studio"]["state"] == GONE else []
    return words


def _live(name: str | None, version: dict[str, Any] | None) -> str:
    if not name:
        return "none yet"
    if not version or "labels" not in version:
        return f"{name}, which is not on disk any more"
    return f"{name}, {version['labels']} labels, {age(version['created'])}"


def _backbone(backbone: dict[str, Any] | None) -> str:
    if not backbone:
        return "none yet"
    retrained = f", its {DEPTH_NAMES[backbone['retrained']]} retrained" if backbone["retrained"] else ""
    return f"{backbone['title']}{retrained}; {backbone['preprocessing']}, {backbone['arithmetic']}"


def _problem(project: int, problem: dict[str, Any]) -> str:
    """A problem with the way out of it, where it is a command."""
    if problem["kind"] == "empty":
        return f"{problem['text']}; `al-backend ask-again --project {project} --empty` has them served again"
    return str(problem["text"])


def _error(error: str) -> str:
    stamped = STAMP.fullmatch(error)
    return f"{stamped[1]} ({age(stamped[1])}) {stamped[2]}" if stamped else error


def next_step(p: dict[str, Any], found: dict[str, Any]) -> str:
    """What somebody who wants to go on labelling should do now."""
    number = p["project"]
    if "unknown" in p:
        return str(p["unknown"])
    view = p["label_studio"]
    if view["state"] == GONE:
        return f"it was deleted, or the token may not see it: `al-backend forget --project {number}` removes what is kept"
    if not p["connected"]:
        return f"{CONNECT.format(number)}, if it is to be labelled"
    if not _takes_rounds(found["workers"]):
        return "`al-backend up`: nothing is learned without workers"
    if view["state"] == UNREACHABLE:
        return "see that Label Studio runs, and that LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY are right"
    if any("`connect`" in text for text in view["differs"]):
        return f"{CONNECT.format(number)} puts right what differs"
    if p["paused"]:
        return f"`al-backend resume --project {number}`, when it is to learn again"
    if not p["live"]:
        return "wait for the first queue" if p["jobs"] else f"{CONNECT.format(number)} makes the first queue"
    if not p["tasks"]["unlabelled"]:
        done = "answered or accepted" if p["tasks"]["accepted"] else "answered"
        return f"every image is {done}: import more, or export the labels in Label Studio"
    return f"label: {found['label_studio']}/projects/{number}/data, 'Label All Tasks'" if view["state"] == THERE else "label"


def _takes_rounds(workers: list[dict[str, Any]]) -> bool:
    return any(TRAIN in worker["queues"] and not worker["unfit"] for worker in workers)


def age(moment: str) -> str:
    """How long ago an ISO time was, for people: "3 min ago"."""
    seconds = max((datetime.now() - datetime.fromisoformat(moment)).total_seconds(), 0)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{int(seconds)} s ago"
