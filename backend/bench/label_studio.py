"""A Label Studio of one's own, on sqlite, for the demo and the tests: started, logged in, filled, and gone with its parent."""

import json
import os
import random
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import httpx

from backend.bench.child import Child
from backend.labelstudio.client import LabelStudio
from backend.settings import Settings

USER, PASSWORD = "admin@example.org", "active-learning"
UPLOAD = 40  # images in one request
ENVIRONMENT = {
    "USE_DEFAULT_BANNED_SUBNETS": "false",  # the backend is on loopback ...
    "USER_ADDITIONAL_BANNED_SUBNETS": "169.254.0.0/16",  # ... and cloud metadata stays out of reach
}
REPORT_NOTHING = {"COLLECT_ANALYTICS": "false", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "", "LATEST_VERSION_CHECK": "false"}


class LabelStudioServer(Child):
    """Label Studio from the virtual environment `venv`, with its data in `folder`, listening at `address`."""

    def __init__(
        self,
        venv: Path,
        folder: Path,
        port: int,
        environment: Mapping[str, str] = ENVIRONMENT,
        address: str = "127.0.0.1",
    ) -> None:
        super().__init__(f"http://localhost:{port}/health", f"Label Studio did not start: see {folder / 'label-studio.log'}")
        self.url = f"http://localhost:{port}"
        self._venv, self._folder, self._port, self._extra, self._address = venv, folder, port, environment, address
        self.token_file = folder / "token"

    def start(self, wait: Callable[[int], None] = lambda _: None) -> None:
        """Start it and wait until it answers; `wait` is called with the seconds passed. Raises RuntimeError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        keep_secret_key(self._folder)
        command = [
            str(self._venv.absolute() / "bin" / "label-studio"),
            "start",
            "--no-browser",
            "--internal-host",
            self._address,
        ]
        command += ["--username", USER, "--password", PASSWORD, "--port", str(self._port)]
        unset = ("DATABASE_URL", "DJANGO_DB", "LABEL_STUDIO_HOST", "PYTHONPATH")
        environment = {k: v for k, v in os.environ.items() if k not in unset}
        environment |= {**REPORT_NOTHING, **self._extra, "LABEL_STUDIO_BASE_DATA_DIR": str(self._folder)}
        with (self._folder / "label-studio.log").open("ab") as log:
            self.launch(command, environment, self._folder, log, wait)

    def personal_access_token(self) -> str:
        """The administrator's token, made once and kept in a file only this user may read."""
        path = self.token_file
        if path.exists():
            return path.read_text()
        with httpx.Client(base_url=self.url, timeout=30) as http:
            login(http, USER, PASSWORD)
            for token in http.get("/api/token/").json():
                http.post("/api/token/blacklist/", json={"refresh": token["token"]}, headers=csrf(http))
            answer = http.post("/api/token/", headers=csrf(http))
            answer.raise_for_status()
        path.touch(mode=0o600)
        path.write_text(answer.json()["token"])
        return path.read_text()

    def client(self) -> LabelStudio:
        """A client with the administrator's token."""
        return LabelStudio(Settings(label_studio_url=self.url, label_studio_api_key=self.personal_access_token()))


def keep_secret_key(folder: Path) -> None:
    """Write into Label Studio's data `folder` the key that signs its tokens, unless there is one.

    Of those that it makes for itself one in fifty begins with $, which it does not read back: its next start ends every token.
    """
    path = folder / ".env"
    path.touch(mode=0o600)
    if not re.search("^SECRET_KEY=", path.read_text(), re.MULTILINE):
        with path.open("a") as file:
            file.write(f"\nSECRET_KEY={secrets.token_hex()}\n")


def login(http: httpx.Client, user: str, password: str) -> None:
    """Log in as a person does, with the login form. Raises RuntimeError."""
    http.get("/user/login/")
    form = {"email": user, "password": password, "csrfmiddlewaretoken": http.cookies["csrftoken"]}
    if http.post("/user/login/", data=form, headers=csrf(http)).status_code != 302:
        raise RuntimeError(f"Label Studio refused the login of {user}")


def sign_up(http: httpx.Client, user: str, password: str) -> None:
    """Make an account with the sign-up form, as the first visitor does. Raises RuntimeError."""
    http.get("/user/signup/")
    form = {"email": user, "password": password, "allow_newsletters": "false", "csrfmiddlewaretoken": http.cookies["csrftoken"]}
    if (answer := http.post("/user/signup/", data=form, headers=csrf(http))).status_code != 302:
        raise RuntimeError(f"Label Studio refused to sign {user} up: {answer.text[:500]}")


def csrf(http: httpx.Client) -> dict[str, str]:
    """Headers that a change through a browser session needs."""
    return {"X-CSRFToken": http.cookies["csrftoken"], "Referer": str(http.base_url)}


def label_config(classes: Sequence[str]) -> str:
    """A labelling config that asks for one of `classes`."""
    choices = "".join(f"<Choice value={quoteattr(name)}/>" for name in classes)
    control = f'<Choices name="choice" toName="image" choice="single" showInline="true">{choices}</Choices>'
    return f'<View><Image name="image" value="$image"/>{control}</View>'


def find_or_make_project(client: LabelStudio, title: str, classes: Sequence[str]) -> int:
    """The id of the project called `title`, made where there is none."""
    found = client.request("GET", "/api/projects", params={"page_size": 1000})["results"]
    for project in found:
        if project["title"] == title:
            return project["id"]
    wanted = {"title": title, "label_config": label_config(classes)}
    return client.request("POST", "/api/projects", json=wanted)["id"]


def anonymous_names(images: dict[str, list[Path]], seed: int = 0) -> dict[str, tuple[str, Path]]:
    """Every image in a fixed random order under a name that gives its class away to nobody: name -> (class, path)."""
    pairs = [(name, path) for name, paths in images.items() for path in paths]
    random.Random(seed).shuffle(pairs)  # noqa: S311
    return {f"image-{n:05}{path.suffix.lower()}": (name, path) for n, (name, path) in enumerate(pairs, 1)}


def name_of(task: dict[str, Any]) -> str:
    """The name an image was imported under, from its task."""
    match = re.search(r"image-\d+\.\w+$", task["data"]["image"])
    return match[0] if match else ""


def import_images(
    client: LabelStudio, project: int, named: dict[str, tuple[str, Path]], report: Callable[[int, int], None]
) -> None:
    """Upload those of `named` that the project does not have yet."""
    there = {name_of(task) for page in client.tasks(project) for task in page}
    missing = [name for name in named if name not in there]
    done = len(named) - len(missing)
    report(done, len(named))
    for start in range(0, len(missing), UPLOAD):
        batch = missing[start : start + UPLOAD]
        files = {name: (name, named[name][1].read_bytes(), "application/octet-stream") for name in batch}
        client.request("POST", f"/api/projects/{project}/import", params={"commit_to_project": "true"}, files=files)
        done += len(batch)
        report(done, len(named))


def wait_for_tasks(client: LabelStudio, project: int, count: int, seconds: float = 60) -> None:
    """Wait until the project has `count` tasks. Raises RuntimeError."""
    deadline = time.monotonic() + seconds
    while client.project(project)["task_number"] < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"Label Studio did not take in {count} images: {json.dumps(client.project(project))[:300]}")
        time.sleep(0.5)
