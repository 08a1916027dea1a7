"""Jobs on machines that share no disk: versions and embeddings of one are those of all, and copies of them go and come."""

# ruff: noqa: F811  fixtures of another file

import pytest

from backend.jobs.embed import embed
from backend.jobs.rollback import roll_back
from backend.jobs.round import run_round
from backend.project import embedding
from backend.project.sharing import projects_of, trim_copies
from backend.project.takeover import take_over
from backend.settings import get_settings
from tests.backend.jobs.made_up import Colours
from tests.backend.jobs.test_machines import on_machine, place  # noqa: F401  fixtures


class Counting(Colours):
    """Colours that count the images they have embedded."""

    def __init__(self):
        self.embedded = 0

    def embed(self, images):
        self.embedded += len(images)
        return super().embed(images)


@pytest.fixture
def colours(place, monkeypatch):  # noqa: ARG001  which has them replaced first
    """What embeds images, on every machine."""
    found = Counting()
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: found)
    return found


def test_an_image_that_one_machine_has_embedded_no_other_embeds(place, on_machine, colours):
    on_machine(1)
    place.label(0, 1)
    place.run(run_round)
    place.run(embed)
    assert colours.embedded == 24
    on_machine(2)
    place.label(2, 3)
    assert place.run(run_round)["published"]
    assert colours.embedded == 24


def test_a_roll_back_on_one_machine_leads_to_the_version_of_another(place, on_machine):
    on_machine(1)
    place.label(0, 1)
    first = place.run(run_round)["version"]
    on_machine(2)
    place.label(2, 3)
    second = place.run(run_round)["version"]
    assert place.live() == second
    on_machine(3)
    roll_back(place.project, first)
    assert place.live() == first
    with place.session() as session:
        assert session.versions.names() == [first, second]
        assert session.versions.load(session.state.live).labels.tolist() == [0, 1]


def test_copies_that_are_too_large_are_gone_after_a_job_and_fetched_by_the_next(place, on_machine, colours, monkeypatch):
    monkeypatch.setenv("STORE_CACHE_GB", "1e-9")
    on_machine(1)
    place.label(0, 1)
    place.run(run_round)
    place.run(embed)
    root = projects_of(place.settings).folder(place.project)
    assert sum(path.stat().st_size for path in root.rglob("*.safetensors")) <= 1
    place.label(2, 3)
    assert place.run(run_round)["published"]
    with place.session() as session:
        assert len(session.store) == 24
        assert session.versions.load(session.state.live).labels.tolist() == [0, 1, 0, 1]
    assert colours.embedded == 24


def test_copies_of_a_project_that_a_job_works_on_stay(place, on_machine, monkeypatch):
    monkeypatch.setenv("STORE_CACHE_GB", "1e-9")
    settings = on_machine(1)
    place.label(0, 1)
    with place.session() as session:
        folder = session.store.folder
        place.run(run_round)
        (shard,) = folder.glob("*.safetensors")
    assert shard.exists()
    trim_copies(settings)
    assert not shard.exists()


def test_a_project_from_before_goes_on_where_it_was(make_place, object_store, monkeypatch):
    found = Counting()
    monkeypatch.setattr(embedding, "get_backbone", lambda *_: found)
    before = make_place(24)
    before.label(0, 1)
    version = before.run(run_round)["version"]
    before.run(embed)
    monkeypatch.setenv("STORE", object_store.new_folder())
    get_settings.cache_clear()
    take_over(get_settings())
    monkeypatch.setenv("DATA_DIR", "another-machine")
    get_settings.cache_clear()
    before.settings = get_settings()
    before.label(2, 3)
    assert before.run(run_round)["published"]
    with before.session() as session:
        assert session.versions.names()[0] == version
        assert session.learned.history.entries()[0].name == version
        assert session.state.connected
    assert found.embedded == 24
