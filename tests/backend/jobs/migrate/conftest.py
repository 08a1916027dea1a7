"""A project as the version before left it, and one of this version that is to have another backbone."""

from collections import Counter

import pytest

from backend.jobs.round import run_round
from backend.project import embedding, session
from model.measuring.metrics import ENOUGH
from tests.backend.jobs.migrate.made_up import IMAGES, OLD, Eyes, embed_all, forget_notes, label_slots


@pytest.fixture(autouse=True)
def seen(monkeypatch):
    """How often each backbone has seen each image."""
    monkeypatch.setattr(Eyes, "seen", Counter())
    monkeypatch.setattr("model.networks.arithmetic.fastest", lambda: "bfloat16")
    monkeypatch.setattr(embedding, "get_backbone", Eyes)
    return lambda: Eyes.seen


@pytest.fixture
def old(make_place, monkeypatch):
    """A project as the version before left it: embeddings of its kind, and no note of anything else."""
    place = make_place(IMAGES, EXPLORE="1", STRATEGY="random")
    with monkeypatch.context() as before:
        before.setattr(session, "wanted_base", lambda *_: OLD)
        place.first = place.run(run_round)["version"]
        embed_all(place)
    forget_notes(place)
    label_slots(place, ENOUGH)
    return place


@pytest.fixture
def current(make_place):
    """A project of this version, labelled so far that backbones can be judged."""
    place = make_place(IMAGES, EXPLORE="1", STRATEGY="random")
    place.first = place.run(run_round)["version"]
    embed_all(place)
    label_slots(place, ENOUGH)
    return place
