"""Images wherever real projects keep them: uploaded, in a cloud storage with signed links, in files on Label Studio's machine,
at a web address, and in the task itself; and "Retrieve Predictions" for all of them at once.
"""

import base64
import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from backend.bench import label_studio as ls
from backend.bench.child import Child, free_port
from backend.project.session import Session
from tests.e2e.conftest import first, label_studio_venv, open_house, wait_until

pytestmark = pytest.mark.soak
CLASSES = ["ants", "bees"]
EACH = 6  # images of each source
QUEUE_SIZE = 10
SOURCES = ("uploaded", "s3", "local files", "web", "data URI")
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
UPLOAD = """
import boto3, pathlib, sys
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1")
s3.create_bucket(Bucket="photos")
for path in pathlib.Path(sys.argv[2]).iterdir():
    s3.upload_file(str(path), "photos", "in/" + path.name)
"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder and logs nothing."""

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory, insects):
    """EACH photos in a folder for each source."""
    folder = tmp_path_factory.mktemp("sources")
    for number, source in enumerate(SOURCES):
        (folder / source).mkdir()
        for name, (_, path) in first(insects, number * EACH, (number + 1) * EACH).items():
            shutil.copy(path, folder / source / name)
    return folder


@pytest.fixture(scope="module")
def web(folders):
    """The address of a web server that has the photos of "web"."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folders / "web"))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def s3(folders, tmp_path_factory):
    """The address of a server that speaks S3 and has the photos of "s3" in its bucket `photos`."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    server, programs = Child(url, "moto's S3 server did not start"), label_studio_venv().absolute() / "bin"
    folder = tmp_path_factory.mktemp("s3")
    with (folder / "log").open("wb") as log:
        server.launch([str(programs / "moto_server"), "-p", str(port)], dict(os.environ) | KEYS, folder, log)
        upload = Child(url, "the photos could not be put into the bucket")
        upload.spawn([str(programs / "python"), "-c", UPLOAD, url, str(folders / "s3")], dict(os.environ) | KEYS, folder, log)
        upload._process.wait(60)
        assert upload._process.returncode == 0, (folder / "log").read_text()
        yield url
        server.stop()


@pytest.fixture(scope="module")
def house(tmp_path_factory, weights, folders):
    """A Label Studio that may read files of its machine, and a plugin that may ask hosts on loopback."""
    environment = ls.ENVIRONMENT | {"LOCAL_FILES_SERVING_ENABLED": "true", "LOCAL_FILES_DOCUMENT_ROOT": str(folders)}
    with open_house(
        tmp_path_factory.mktemp("house"), weights, environment, ALLOWED_HOSTS="127.0.0.1", QUEUE_SIZE=str(QUEUE_SIZE)
    ) as house:
        yield house


@pytest.fixture(scope="module")
def project(house, folders, web, s3, insects):
    """A connected project with EACH images of each source."""
    project = house.project("Sources", first(insects, 0, EACH), CLASSES)
    _sync(house, "localfiles", {"project": project, "path": str(folders / "local files"), "use_blob_urls": True})
    bucket = {"project": project, "bucket": "photos", "prefix": "in", "s3_endpoint": s3, "region_name": "us-east-1"}
    keys = {name.lower(): value for name, value in KEYS.items()}
    _sync(house, "s3", bucket | keys | {"use_blob_urls": True, "presign": True})
    data = [{"image": f"{web}/{path.name}"} for path in sorted((folders / "web").iterdir())]
    for path in sorted((folders / "data URI").iterdir()):
        data.append({"image": "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()})
    house.admin.request("POST", f"/api/projects/{project}/import", json=data)
    ls.wait_for_tasks(house.admin, project, EACH * len(SOURCES))
    house.cli("connect", "--project", str(project))
    return project


def _sync(house, kind, storage):
    """Add a storage to a project, and read it."""
    made = house.admin.request("POST", f"/api/storages/{kind}", json=storage | {"regex_filter": ".*"})
    house.admin.request("POST", f"/api/storages/{kind}/{made['id']}/sync")


def _source(task):
    """Where a task's image lies."""
    starts = {
        "/data/upload": "uploaded",
        "/tasks/": "s3",  # where Label Studio signs the link
        "/data/local-files": "local files",
        "http:": "web",
        "data:": "data URI",
    }
    reference = task["data"]["image"]
    return next((source for start, source in starts.items() if reference.startswith(start)), reference)


def test_each_source_has_its_images_in_the_project(house, project):
    sources = [_source(task) for page in house.admin.tasks(project) for task in page]
    assert {source: sources.count(source) for source in SOURCES} == dict.fromkeys(SOURCES, EACH)


def test_every_image_is_embedded(house, project):
    tasks = {task["id"]: _source(task) for page in house.admin.tasks(project) for task in page}
    with Session(house.settings, project) as session:
        rows = session.index.rows()
        missing = set(session.store.missing([row.key for row in rows]))
        assert [(tasks[row.task], row.error) for row in rows if row.key in missing or row.error] == []
        assert len(rows) == len(tasks)


def test_predictions_retrieved_for_all_tasks_at_once_leave_the_head_of_the_queue_as_it_is(house, project):
    live, everything = house.live(project), EACH * len(SOURCES)
    order = house.queue(project, live)
    assert len(order) == QUEUE_SIZE
    selected = {"selectedItems": {"all": True, "excluded": []}, "project": project}
    action = {"id": "retrieve_tasks_predictions", "project": project}
    house.admin.request("POST", "/api/dm/actions", params=action, json=selected)
    wait_until(lambda: len(house.queue(project, live)) == everything, 60, "a prediction for every task")
    assert house.live(project) == live
    assert house.queue(project, live)[:QUEUE_SIZE] == order


def test_a_thumbnail_of_each_source_is_shown(house, project):
    tasks = {_source(task): task["id"] for page in house.admin.tasks(project) for task in page}
    with httpx.Client(
        base_url=f"http://127.0.0.1:{house.values['PORT']}", follow_redirects=True, trust_env=False, timeout=60
    ) as http:
        http.post("/login", data={"token": house.values["LABEL_STUDIO_API_KEY"]})
        kinds = {
            source: http.get(f"/projects/{project}/images/{task}").headers["content-type"] for source, task in tasks.items()
        }
    assert kinds == dict.fromkeys(SOURCES, "image/jpeg")
