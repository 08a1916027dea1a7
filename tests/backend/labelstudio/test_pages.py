"""Listing tasks past those that Label Studio itself cannot list."""

import pytest

from backend.bench.label_studio import label_config
from backend.labelstudio import client as module
from backend.labelstudio.errors import LabelStudioError
from backend.labelstudio.pages import MOST_LOST, PAGE, Listing


class Tasks:
    """A listing of `count` tasks of which those in `bad` cannot be listed; counts what it was asked."""

    def __init__(self, count, bad=(), status=500, outage=None):
        self.tasks = list(range(1, count + 1))
        self.bad = set(bad)
        self.status = status
        self.outage = outage
        self.asked = 0

    def page(self, number, size):
        self.asked += 1
        part = self.tasks[(number - 1) * size : number * size]
        if not part and number > 1:
            raise LabelStudioError("past the end", 404)
        if self.bad & set(part):
            raise LabelStudioError("cannot be encoded", self.status)
        return [{"id": task} for task in part]

    def ids(self, number, size):
        return [{"id": task} for task in self.tasks[(number - 1) * size : number * size]]

    def listed(self):
        lost = {}
        listing = Listing(self.page, self.page, self.ids, lambda: self.outage)
        found = [task["id"] for page in listing.pages(lost) for task in page]
        return found, sorted(lost)


@pytest.mark.parametrize("count", [0, 1, 3, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 1234])
@pytest.mark.parametrize("bad", [[], [1], [2, 3], [499, 500, 501], [1000]])
def test_every_task_is_listed_once_or_is_lost(count, bad):
    bad = [task for task in bad if task <= count]
    assert Tasks(count, bad).listed() == ([task for task in range(1, count + 1) if task not in bad], bad)


def test_one_bad_task_costs_few_requests():
    tasks = Tasks(PAGE, [321])
    tasks.listed()
    assert tasks.asked < 30


@pytest.mark.parametrize("status", [401, 403, 429, 502, 503, 0])
def test_what_speaks_of_label_studio_as_a_whole_is_raised(status):
    with pytest.raises(LabelStudioError, match="cannot be encoded"):
        Tasks(10, [3], status).listed()


def test_an_outage_is_no_tasks_fault():
    with pytest.raises(LabelStudioError):
        Tasks(10, [3], outage=LabelStudioError("down", 503)).listed()


def test_a_page_of_which_too_much_fails_is_raised():
    with pytest.raises(LabelStudioError):
        Tasks(PAGE, range(1, MOST_LOST + 2)).listed()


def test_a_task_that_label_studio_cannot_list_costs_itself_alone(label_studio, monkeypatch):
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    project = label_studio.add_project(label_config(["A", "B"]), [f"/{n}.jpg" for n in range(30)])
    bad = label_studio.task_ids(project)[7]
    label_studio.tasks[bad]["data"]["note"] = "\ud800"
    lost = {}
    found = [task["id"] for page in label_studio.client().tasks(project, lost=lost) for task in page]
    assert found == [task for task in label_studio.task_ids(project) if task != bad]
    assert "answers 500" in lost[bad]
