"""One request of a person's browser, and how it is answered."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from backend.labelstudio.client import LabelStudio
from backend.pages.accounts import Account, Accounts
from backend.pages.thumbnails import Thumbnails
from backend.queue.work import Work
from backend.records.state import Projects
from backend.settings import Settings
from model.storage.documents import Documents

TABS = (  # of a project: address below it, and what it is called
    ("", "Overview"),
    ("progress", "Progress"),
    ("queue", "Queue"),
    ("groups", "Label groups"),
    ("map", "Map"),
    ("doubts", "Doubts"),
    ("people", "People"),
    ("accept", "Accept"),
    ("versions", "Versions"),
    ("jobs", "Jobs"),
)


@dataclass(frozen=True)
class House:
    """What every page can use."""

    settings: Settings
    projects: Projects
    work: Work
    accounts: Accounts
    thumbnails: Thumbnails


@dataclass
class Visit:
    """A request. account: who asks; project: the id in its address, which this person may see; form: what was posted; file: the
    file that was posted with it."""

    house: House
    request: Request
    account: Account | None = None
    project: int | None = None
    form: dict[str, str] = field(default_factory=dict)
    file: bytes = b""

    def text(self, name: str) -> str:
        """What the form says under `name`, "" for nothing."""
        return self.form.get(name, "")

    @property
    def documents(self) -> Documents:
        """What is known of the project besides Label Studio's own records."""
        return self.house.projects.documents(self.project or 0)

    def label_studio(self) -> LabelStudio:
        """Label Studio as this person sees it; to be closed."""
        assert self.account  # noqa: S101  pages without a login do not ask
        return self.house.accounts.client(self.account.token)

    def titles(self) -> dict[int, str]:
        """Titles of the projects that this person sees and that are known here, by their ids."""
        assert self.account  # noqa: S101
        return self.house.accounts.projects(self.account, set(self.house.projects.ids()))

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """`template` filled in with `values`; each text is escaped."""
        said = {
            "account": self.account,
            "project": self.project,
            "title": self.titles().get(self.project, "") if self.account and self.project else "",
            "tabs": TABS,
            "here": self.request.url.path,
            "label_studio_url": self.house.settings.label_studio_url,
        }
        return HTMLResponse(filled(template, said | values), status)

    def go(self, path: str) -> Response:
        """Send the browser to another page, which it gets."""
        return RedirectResponse(path, 303)


def filled(template: str, values: dict[str, Any]) -> str:
    """`template` filled in with `values`; each text is escaped."""
    return _templates.get_template(template).render(values)


Handler = Callable[[Visit], Response]


@dataclass(frozen=True)
class Page:
    """An address, below a project's where `of_project`, and who answers it. needs_login: whether nobody else may see it;
    at_once: how many such requests are answered at a time, beside those of other pages; 0 for as many as those together;
    file_bytes: how large a file its form may send, 0 for none."""

    path: str
    handler: Handler
    method: str = "GET"
    of_project: bool = True
    needs_login: bool = True
    at_once: int = 0
    file_bytes: int = 0


def with_commands(text: str, address: str = "") -> Markup:
    """`text` with what stands between backticks as code, and addresses below `address` as links."""
    parts = str(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else _with_links(part, address)
        for number, part in enumerate(parts)
    )


def _with_links(text: str, address: str) -> Markup:
    parts = re.split(rf"({re.escape(address)}/[\w/]*)", text) if address else [text]
    link = Markup('<a href="{0}" rel="noreferrer">{0}</a>')
    return Markup("").join(link.format(part) if number % 2 else escape(part) for number, part in enumerate(parts))


_templates = Environment(
    loader=PackageLoader("backend.pages"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["with_commands"] = with_commands
