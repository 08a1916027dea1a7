"""`doctor --fix` mends what it says it mends, and says so; without it nothing is changed."""

import copy
import json

import pytest
from pydantic import SecretStr

from backend.bench.label_studio import label_config
from backend.doctor.case import NotMended, wait_for
from backend.labelstudio.wiring import TITLE
from tests.label_studio_in_memory import Fault

MENDABLE = {
    "hotkeys": lambda house: house.project.update(enable_empty_annotation=True),
    "training": lambda house: house.project.update(min_annotations_to_start_training=3),
    "ML backend": lambda house: house.backend.update(state="DI"),
    "webhook": lambda house: house.hook.update(is_active=False, headers={}),
    "sampling": lambda house: house.project.update(sampling="Sequential sampling"),
    "model version": lambda house: house.project.update(model_version=TITLE),
    "predictions": lambda house: house.studio.predictions.clear(),
    "labelling config": lambda house: house.project.update(label_config=label_config(["ants", "bees", "wasps"])),
}


def everything(house):
    """All that Label Studio and DATA_DIR hold."""
    ls, folder = house.studio, house.projects.folder(house.number)
    held = [ls.projects, ls.tasks, ls.annotations, ls.predictions, ls.backends, ls.webhooks, ls.views]
    files = {str(path): path.read_bytes() for path in folder.rglob("*.json")}
    return json.dumps(held, default=str, sort_keys=True), files


@pytest.mark.parametrize("link", MENDABLE)
def test_without_fix_nothing_is_changed(house, link):
    MENDABLE[link](house)
    before = copy.deepcopy(everything(house))
    assert house.broken()[link].fix
    assert everything(house) == before


@pytest.mark.parametrize("link", MENDABLE)
def test_with_fix_the_link_is_mended_and_said_so(house, link):
    MENDABLE[link](house)
    (found,) = [found for found in house.findings(fix=True) if found.link == link]
    assert (found.state, found.mended) == ("ok", True)
    assert found.seen.startswith("mended. Before: ")
    assert house.broken() == {}


def test_a_deleted_webhook_and_backend_are_made_again_as_connect_makes_them(house):
    hook, backend = house.hook, house.backend
    house.studio.webhooks.clear()
    house.studio.backends.clear()
    house.findings(fix=True)
    assert house.hook | {"id": 0} == hook | {"id": 0}
    assert (house.backend["url"], house.backend["title"]) == (backend["url"], backend["title"])
    assert house.place.state.made["webhook"] == house.hook["id"]


@pytest.mark.parametrize("score", [None, -0.5, 7])
def test_a_score_that_is_no_place_becomes_the_one_it_was_published_with(house, score):
    row = house.live_predictions()[0]
    published = row["score"]
    row["score"] = score
    house.findings(fix=True)
    assert row["score"] == published


def test_several_broken_links_are_mended_at_once(house):
    house.project.update(sampling="Sequential sampling", enable_empty_annotation=True, model_version="")
    house.studio.predictions.clear()
    house.studio.webhooks.clear()
    house.findings(fix=True)
    assert house.broken() == {}
    assert house.live_predictions()


def test_a_mending_that_fails_leaves_the_link_broken_with_the_reason(house):
    house.project["sampling"] = "Sequential sampling"
    house.studio.faults.append(Fault("PATCH", "/api/projects/", 400))
    found = house.broken(fix=True)["sampling"]
    assert "could not be mended" in found.seen
    assert "400" in found.seen


def test_a_mending_that_no_worker_takes_is_told(work):
    job = work.wake("reconcile", 1)
    with pytest.raises(NotMended, match="did not finish within 0 s; `al-backend status`"):
        wait_for(work, job, 0)


def test_a_mending_whose_job_is_gone_is_told(work):
    with pytest.raises(NotMended, match="reconcile-1-0 is gone"):
        wait_for(work, "reconcile-1-0")


def test_nothing_is_mended_where_an_earlier_link_is_broken(house):
    house.project["sampling"] = "Sequential sampling"
    house.settings = house.settings.model_copy(update={"label_studio_api_key": SecretStr("an.other.token")})
    house.findings(fix=True)
    assert house.project["sampling"] == "Sequential sampling"
