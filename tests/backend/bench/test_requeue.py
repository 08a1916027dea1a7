"""The measure of a round, on a small project: that it does what a round does."""

import pytest

from backend.bench.requeue import CLASSES, CONFIG, LABELS, make_project, requeue
from backend.index.index import Index
from backend.labelstudio.labelling_config import parse_label_config
from backend.settings import Settings
from model.version_store import VersionStore

SIZE = 500


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "project"
    make_project(folder, SIZE)
    requeue(folder, parse_label_config(CONFIG))
    return folder


def test_it_leaves_a_version_that_has_learned_all_labels(project):
    versions = VersionStore(project / "versions")
    (name,) = versions.names()
    version = versions.load(name)
    assert (len(version.tasks), len(version.head.counts), version.newest_task) == (LABELS, CLASSES, SIZE)
    assert version.metrics["enough"]
    assert version.metrics["gain"]


def test_it_leaves_a_queue_of_what_nobody_has_labelled(project):
    (name,) = VersionStore(project / "versions").names()
    index = Index(project / "index.sqlite")
    queue = index.published.scores(name)
    unlabelled = {row.task for row in index.rows() if row.label is None}
    index.close()
    assert len(queue) == Settings().queue_size
    assert set(queue) <= unlabelled
    assert max(queue.values()) < 0.5
