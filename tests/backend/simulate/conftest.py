"""A folder of images with embeddings in the cache, so that the whole command runs without ResNet50."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from backend.__main__ import main
from backend.settings import get_settings
from backend.simulate.dataset import list_dataset
from model.embeddings.embedding_store import EmbeddingStore, embedding_key
from model.networks import network
from model.networks.backbone import backbone_name, standard_of
from tests.model.made_up import DIMENSIONS, resnet50
from tests.model.made_up import images as embedded

EACH = 25
CLASSES = ("bread", "meat", "vegetables")


@pytest.fixture(autouse=True)
def _fresh_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def embed_made_up(folder, cache, weights, copies=0, blur=0.0):
    """Put made-up embeddings of the folder's images into the cache, copies close to their originals: those of whole images, and
    worse ones of the centre crop. blur: from 0 to 1, makes both worse."""
    spec = resnet50(weights)
    for share, backbone in ((blur, spec), (blur + 0.4 * (1 - blur), standard_of(spec))):
        put_made_up(folder, cache, backbone, copies, share)


def put_made_up(folder, cache, spec, copies=0, blur=0.0):
    """Put made-up embeddings by the backbone `spec` into the cache."""
    images, _ = list_dataset(folder, None, copies)
    values, _ = embedded(len(images.labels), DIMENSIONS, len(images.classes), 0.02)
    by_class = np.empty_like(values)
    for label in range(len(images.classes)):
        wanted = np.flatnonzero(images.labels == label)
        by_class[wanted] = values[label :: len(images.classes)][: len(wanted)]
    near = by_class[images.originals] + 0.1 * (by_class - by_class[images.originals])
    near = (1 - blur) * near + blur * near[np.random.default_rng(0).permutation(len(near))]
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    keys = [embedding_key(0, source.reference) for source in images.sources]
    width = network(spec.network).width
    store = EmbeddingStore(cache / "embeddings" / backbone_name(spec), width)
    store.add(keys, np.pad(near, ((0, 0), (0, width - DIMENSIONS))))


@pytest.fixture
def place(tmp_path):
    """A folder of three classes, half of the files for the test by their names, and a cache."""
    folder, cache, weights = tmp_path / "photos", tmp_path / "cache", tmp_path / "weights.pth"
    weights.write_bytes(b"only its digest is read")
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for number in range(EACH):
            prefix = "test" if number % 2 else "train"
            (folder / name / f"{prefix}_{number}.jpg").write_bytes(f"{name} {number}".encode())
    embed_made_up(folder, cache, weights)
    return SimpleNamespace(folder=folder, cache=cache, weights=weights)


@pytest.fixture
def simulate(place, capsys):
    """Run the command on the folder: exit status, what it said, and the JSON it wrote."""

    def run(*options, folder=None, weights=True):
        out = place.cache.parent / "result.json"
        out.unlink(missing_ok=True)
        short = ["--start", "6", "--batch", "4", "--rounds", "3", "--seeds", "2", "--jobs", "1", "--strategies", "margin"]
        fixed = ["--cache", str(place.cache), "--no-standard", "--json", str(out)]
        fixed += ["--weights", str(place.weights)] if weights else []
        status = main(["simulate", str(folder or place.folder), *short, *fixed, *options])
        said = capsys.readouterr()
        results = json.loads(out.read_text()) if out.exists() else None
        return SimpleNamespace(status=status, out=said.out, error=said.err, json=results)

    return run
