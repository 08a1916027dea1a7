"""A project with groups to label, and people who do."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from backend.project.session import Session
from backend.records.groups import Group, Groups
from tests.backend.pages.conftest import Browser
from tests.label_studio_in_memory import LabelStudioInMemory
from tests.label_studio_in_memory.serving import Person

OTHER = "another.good.token"


def ticked(page: str) -> list[int]:
    """The images of the group that a page shows."""
    return [int(task) for task in re.findall(r'name="task:(\d+)" checked', page)]


def hidden(page: str) -> dict[str, str]:
    """What a page's form sends without being asked."""
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))


@dataclass
class Labeller:
    """Somebody on the page of groups."""

    browser: Browser
    path: str
    page: str = ""

    def open(self) -> list[int]:
        """The images of the next group."""
        self.page = self.browser.get(self.path)
        return ticked(self.page)

    def press(self, act: str, **values: str) -> list[int]:
        """Press a button, with all boxes as they were shown but for `values`; returns the images of the group after it."""
        sent = self.form | {"act": act} | values
        self.browser.last = self.page
        self.page = self.browser.send(self.path, **sent).text
        return ticked(self.page)

    def label(self, label: str, *out: int) -> list[int]:
        """Take images out, and label the rest."""
        left = {f"task:{task}": "on" for task in ticked(self.page) if task not in out}
        return self.press("label", label=label, **left)

    @property
    def form(self) -> dict[str, str]:
        """What the page's form sends without being asked."""
        return hidden(self.page)

    @property
    def said(self) -> str:
        """What the page says of the last groups."""
        return " ".join(re.findall(r"<p>(.*?)</p>", self.page.partition('id="said"')[2].partition("</div>")[0]))


@dataclass
class Grouped:
    """A project whose two groups are `first` and `second` and whose random `slots` are in none."""

    session: Session
    studio: LabelStudioInMemory
    store: Groups
    first: tuple[int, ...]
    second: tuple[int, ...]
    slots: list[int]

    @property
    def path(self) -> str:
        """Where its groups are labelled."""
        return f"/projects/{self.session.project}/groups"

    def answers(self, task: int) -> list[dict[str, Any]]:
        """The annotations of a task."""
        return [a for a in self.studio.annotations.values() if a["task"] == task]

    def labels(self, *tasks: int) -> list[list[str]]:
        """The classes that were written for each of `tasks`."""
        return [[a["result"][0]["value"]["choices"][0] for a in self.answers(task)] for task in tasks]


@pytest.fixture
def project(session: Session, label_studio: LabelStudioInMemory) -> Grouped:
    """Two groups of three images each, the first of class ants, the second of class bees."""
    queue = session.index.published.queue(session.state.live, 100)
    slots = [row.task for row, _, is_slot in queue if is_slot]
    tasks = sorted(row.task for row, _, is_slot in queue if not is_slot)
    store = Groups(session.documents)
    first, second = tuple(tasks[:3]), tuple(tasks[3:6])
    store.write(
        session.state.live,
        [
            Group("g-1", first, "ants", (0.95, 0.9, 0.999), "all look like task 5"),
            Group("g-2", second, "bees", (0.8, 0.7, 0.6), "all look like task 8"),
        ],
    )
    return Grouped(session, label_studio, store, first, second, slots)


@pytest.fixture
def labeller(browser: Browser, project: Grouped) -> Labeller:
    """The owner, who has logged in."""
    return Labeller(browser, project.path)


@pytest.fixture
def another(open_browser: Callable[[], Browser], project: Grouped) -> Labeller:
    """Somebody else with a token of their own."""
    project.studio.people[OTHER] = Person(2, "other@example.com")
    browser = open_browser()
    browser.log_in(OTHER)
    return Labeller(browser, project.path)
