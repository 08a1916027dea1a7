"""The profile `label-studio`: PostgreSQL and Label Studio as docker-compose.yml runs them, and the plugin beside them."""

import json
from dataclasses import dataclass

import pytest

from backend.bench import label_studio as ls
from backend.labelstudio.client import LabelStudio, LabelStudioError
from backend.simulate.folder import images_by_class
from tests.e2e.conftest import Annotator, wait_until
from tools.samples import draw_samples

pytestmark = pytest.mark.soak  # PostgreSQL's tables take Label Studio a minute
IMAGES = 12


@dataclass
class Labelling:
    """A Label Studio that is signed up to, and a project of drawn images that is connected."""

    admin: LabelStudio
    project: int


@pytest.fixture(scope="package")
def samples(tmp_path_factory):
    """A few drawn images under anonymous names: name -> (class, path)."""
    folder = tmp_path_factory.mktemp("samples")
    draw_samples(folder, lambda *_: None)
    some = {name: paths[: IMAGES // 3] for name, paths in images_by_class(folder).items()}
    return ls.anonymous_names(some)


@pytest.fixture(scope="package")
def labelling(machine, label_studio, samples):
    """Connect a project with the command of the README."""
    project = ls.find_or_make_project(label_studio, "Shapes", ["circle", "square", "star"])
    ls.import_images(label_studio, project, samples, lambda *_: None)
    ls.wait_for_tasks(label_studio, project, IMAGES)
    done = machine.services["server"].run(["python", "-m", "backend", "connect", "--project", str(project)])
    assert done.returncode == 0, done.stdout + done.stderr
    return Labelling(label_studio, project)


def status(stack, project):
    """What `status --json` says of the project."""
    done = stack.services["server"].run(["python", "-m", "backend", "status", "--json"])
    return next(p for p in json.loads(done.stdout)["projects"] if p["project"] == project)


@pytest.mark.usefixtures("label_studio")
@pytest.mark.parametrize("name", ["postgres", "label-studio"])
def test_its_health_check_passes(machine, name):
    wait_until(machine.services[name].healthy, 60)  # the engine itself takes three failures in a row


def ask_database(machine, statement):
    """What the database answers, as text."""
    about = machine.services["postgres"].environment
    query = ["psql", "-h", "127.0.0.1", "-p", "5432", "-U", about["POSTGRES_USER"], "-d", about["POSTGRES_DB"], "-Atc"]
    password = {"PGPASSWORD": about["POSTGRES_PASSWORD"]}
    done = machine.services["postgres"].run([*query, statement], env=about | password)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.usefixtures("labelling")
def test_its_tasks_are_in_postgresql(machine):
    assert ask_database(machine, "SELECT count(*) FROM task") == str(IMAGES)


def test_what_is_published_for_some_tasks_writes_to_no_other(machine, labelling):
    project = ls.find_or_make_project(labelling.admin, "Two tasks", ["A", "B"])
    labelling.admin.request("POST", f"/api/projects/{project}/import", json=[{"image": "/a.jpg"}, {"image": "/b.jpg"}])
    first, second = sorted(task["id"] for page in labelling.admin.tasks(project) for task in page)
    row = f"SELECT xmin, total_predictions FROM task WHERE id = {second}"  # noqa: S608
    before = ask_database(machine, row)
    sent = [{"task": first, "result": [], "score": 0.1, "model_version": "theirs"}]
    assert labelling.admin.import_predictions(project, sent) == 1
    assert ask_database(machine, row) == before
    labelling.admin.request("DELETE", f"/api/projects/{project}/")


def test_the_first_queue_is_published(machine, labelling):
    live = labelling.admin.project(labelling.project)["model_version"]
    assert live
    assert status(machine, labelling.project)["live"] == live


def test_a_label_reaches_the_plugin_and_the_queue_follows(machine, labelling):
    before = status(machine, labelling.project)["live"]
    annotator = Annotator(labelling.admin)
    annotator.label(annotator.next(labelling.project), "circle")
    after = wait_until(lambda: (s := status(machine, labelling.project))["live"] != before and s, 60, "a round has run")
    assert after["tasks"]["labelled"] == 1


def test_the_plugin_may_have_a_private_address(machine, labelling):
    (backend,) = labelling.admin.request("GET", "/api/ml", params={"project": labelling.project})
    assert backend["url"] == f"http://127.0.0.1:{machine.ports['9090']}"


@pytest.mark.parametrize("host", ["169.254.169.254", "100.100.100.200"])
def test_what_clouds_tell_about_a_machine_is_out_of_reach(labelling, host):
    body = {"project": labelling.project, "url": f"http://{host}", "title": "metadata", "is_interactive": False}
    with pytest.raises(LabelStudioError) as refused:
        labelling.admin.request("POST", "/api/ml", json=body)
    assert refused.value.status == 403
    titles = {b["title"] for b in labelling.admin.request("GET", "/api/ml", params={"project": labelling.project})}
    assert "metadata" not in titles


def add_webhook(labelling, url):
    """Ask Label Studio for a webhook to `url`; what it has against it."""
    body = {"project": labelling.project, "url": url, "is_active": False}
    with pytest.raises(LabelStudioError) as refused:
        labelling.admin.request("POST", "/api/webhooks/", json=body)
    return str(refused.value)


def test_label_studio_takes_the_name_of_the_server_for_a_webhook(machine, labelling):
    url = machine.services["server"].about["environment"]["BACKEND_URL"]
    assert "Can't resolve hostname server.internal" in add_webhook(labelling, url + "/webhook")  # the next step after accepting


def test_label_studio_would_take_no_name_without_a_dot(labelling):
    assert "Enter a valid URL" in add_webhook(labelling, "http://server:9090/webhook")
