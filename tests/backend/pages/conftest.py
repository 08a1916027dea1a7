"""A browser without a screen, on the server's pages, with a project that has been labelled a little."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from backend.project.session import Session
from backend.server.app import create_app
from tests.backend.jobs.made_up import label_some, run_round, session_on, settings_for
from tests.label_studio_in_memory import TOKEN


class Browser:
    """Gets pages and sends their forms, as a person would."""

    def __init__(self, app: Any) -> None:
        self.http = TestClient(app, base_url="http://server")
        self.last = ""

    def get(self, path: str) -> str:
        """The page at `path`, redirects followed."""
        answer = self.http.get(path)
        self.last = answer.text
        return answer.text

    def send(self, path: str, **values: str) -> Any:
        """Post `values` with what the form of the last page hides."""
        csrf = re.search(r'name="csrf" value="([^"]+)"', self.last)
        answer = self.http.post(path, data=values | ({"csrf": csrf[1]} if csrf else {}))
        self.last = answer.text
        return answer

    def log_in(self, token: str = TOKEN) -> str:
        """The page after logging in."""
        return str(self.send("/login", token=token).text)


@pytest.fixture
def session(label_studio, redis, make_settings) -> Iterator[Session]:  # type: ignore[no-untyped-def]  # noqa: ARG001
    """A connected project with twelve images, four of them labelled, and a live version."""
    with session_on(label_studio, settings_for(make_settings), 12) as session:
        label_some(label_studio, session, 4)
        live = run_round(session)
        with session.edit() as state:
            state.live = state.followed = live
        yield session


@pytest.fixture
def open_browser(session, redis) -> Callable[[], Browser]:  # type: ignore[no-untyped-def]
    """Makes a browser that is logged out. Label Studio's requests need credentials, which the browser does not have."""
    socket = f"unix://{redis.connection_pool.connection_kwargs['path']}"
    values = {"redis_url": socket, "basic_auth_user": "studio", "basic_auth_pass": SecretStr("secret")}
    app = create_app(session.settings.model_copy(update=values))
    return lambda: Browser(app)


@pytest.fixture
def browser(open_browser) -> Browser:  # type: ignore[no-untyped-def]
    """A browser of somebody who has logged in."""
    browser = open_browser()
    browser.log_in()
    return browser
