"""Made-up backbones with weights of several names, and what is asked of a project that goes from one to another."""

from collections import Counter
from typing import ClassVar

import numpy as np

from backend.learning.slots import slot_order
from backend.project import embedding
from backend.project.migration import way_to_go
from model.backbone_note import OLD_PREPROCESSING
from model.networks import network
from model.networks.backbone import BackboneSpec
from tests.backend.jobs.made_up import Colours

IMAGES = 48
OLD = BackboneSpec("resnet50", None, OLD_PREPROCESSING, "float32")
LIBRARY, OTHER, THIRD = "the library's", "other.pth", "third.pth"  # weights
MARK = 5  # the dimension in which embeddings say by which backbone they were made


class Eyes(Colours):
    """In the place of a backbone: the mean colour of an image, or of a blind one nothing that tells classes apart."""

    seen: ClassVar[Counter] = Counter()  # how often each image was embedded, by backbone

    def __init__(self, spec, _cache=None, blind=()):
        self.spec, self.blind = spec, source(spec) in blind

    def embed(self, images):
        """Embeddings of images, uint8 (n, H, W, 3): float32 (n, width)."""
        colours = images.mean((1, 2)).astype(np.float32) / 255
        Eyes.seen.update((self.spec, tuple(row)) for row in colours.round(5).tolist())
        found = np.zeros((len(colours), network(self.spec.network).width), np.float32)
        found[:, :3] = colours * ([0, 1, 0] if self.blind else 1)
        found[:, 3], found[:, MARK] = 1, mark(self.spec)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


def mark(spec):
    """A number for each backbone."""
    return 0.5 + 0.5 * ["float32", "bfloat16"].index(spec.arithmetic) + (source(spec) != LIBRARY)


def source(spec):
    """Which weights a backbone has."""
    return spec.weights.name if spec.weights else LIBRARY


def label_slots(place, count):
    """Label the tasks of the first random slots."""
    place.label(*slot_order(np.array(place.tasks, np.int64))[:count].tolist())


def embed_all(place):
    """What the embed job does."""
    with place.session() as s:
        s.sync()
        embedding.embed_tasks(s, [task for tasks in embedding.unembedded(s) for task in tasks])


def embed_a_few(s, *_):
    """Ten images in the time of a slice; returns when to go on where some are left."""
    embedding.embed_tasks(s, [task for tasks in embedding.unembedded(s) for task in tasks][:10])
    return 1 if any(embedding.unembedded(s)) else None


def forget_notes(place):
    """Leave of a DATA_DIR what the version before would have written."""
    (place.settings.data_dir / "arithmetic.json").unlink(missing_ok=True)
    for note in (place.settings.data_dir / "projects" / str(place.project) / "backbones").glob("*.json"):
        note.unlink()


def backbone(place):
    """The spec of the live version's backbone."""
    with place.session() as s:
        return s.backbones.spec(s.versions.about(s.state.live)["backbone"])


def want(place, wish, force=False):
    """What `connect --backbone` leaves in the state."""
    with place.session() as s, s.edit() as state:
        state.backbone = f"resnet50={weights_file(place, wish)}" if wish else ""
        state.forced = force


def weights_file(place, name):
    """A file that stands for other weights."""
    path = place.settings.data_dir / name
    path.write_text(name)
    return path


def due(place):
    """Whether the project is to go to another backbone."""
    with place.session() as s:
        return way_to_go(s) is not None


def waits(place, kind):
    """Whether a job of that kind waits for a worker."""
    return any(job.id.startswith(f"{kind}-") for job in place.work.active(place.project))


def blind(monkeypatch, *weights):
    """Let backbones with these weights see nothing that tells classes apart."""
    monkeypatch.setattr(embedding, "get_backbone", lambda spec, _: Eyes(spec, blind=weights))


def marks(place):
    """By which backbones the embeddings in each folder of the project were made."""
    with place.session() as s:
        keys = [row.key for row in s.index.rows()]
        folders = [path.name for path in (s.learned.folder / "embeddings").iterdir()]
        found = {}
        for name in folders:
            values, there = s.backbones.embeddings(name).get(keys)
            values = values[there] / values[there][:, 3:4]
            found[name] = set(values[:, MARK].round(1).tolist())
        return found
