"""Made-up images for simulations: clusters on the unit sphere in place of embeddings."""

from pathlib import Path

import numpy as np

from backend.simulate.dataset import Dataset
from backend.simulate.folder import Source
from backend.simulate.protocol import Method
from tests.model.made_up import images as embedded

RANDOM = Method("random", "random", "plain", 0.0, False)
MARGIN = Method("margin", "margin", "plain", 0.0, False)
DEFAULT = Method("default", "margin", "default", 0.1, True)


def clusters(n=120, classes=3, copies=0, test=(), apart=0.5):
    """n originals of classes that overlap, each followed by its copies, sorted by class as a folder is."""
    embeddings, labels = embedded(n, 16, classes, apart)
    order = np.argsort(labels, kind="stable").repeat(1 + copies)
    rows = np.arange(len(order))
    return Dataset(
        classes=tuple(f"class-{number}" for number in range(classes)),
        labels=labels[order].astype(np.int64),
        originals=rows - rows % (1 + copies),
        test=np.isin(rows, test),
        embeddings=embeddings[order].astype(np.float16),
        sources=tuple(Source(Path(f"{row}.jpg"), int(row % (1 + copies))) for row in rows),
    )
