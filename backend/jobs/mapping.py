"""The job that draws the map of all images, and keeps it up to date with new images and with what the live version guesses."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.jobs.job import JobAtWork, perform
from backend.project.session import Session
from backend.records.map import Map, read_map
from model.backbone_store import kept_embeddings
from model.embeddings.embedding_store import EmbeddingStore
from model.heads.principal import Principal
from model.layout import DIMENSIONS, among_neighbours, plane
from model.measuring.set_metrics import predicted_sets
from model.version_store import Version, VersionError
from strategies.arrays.hashing import uniform_hash

RENEW = 0.2  # share of the images that are new since the layout was computed, from which it is computed anew
SAMPLE = 10_000  # images that tell the principal components


def draw_map(project: int, generation: int) -> Any:
    """Draw the map, or bring it up to date. Returns how many images are on it."""
    return perform("map", project, generation, _draw_map)


def _draw_map(at: JobAtWork) -> dict[str, Any]:
    s = at.session
    try:
        live = s.versions.load(s.state.live)
    except VersionError as error:
        return {"ignored": str(error)}
    store = kept_embeddings(s.projects.folder(s.project), live.backbone, s.projects.mirror(s.project, s.progress))
    tasks, keys = _embedded(s, store)
    kept = read_map(s.documents)
    principal, places, drawn = _places(s, store, tasks, keys, kept, live.backbone)
    guesses, confidences = _guesses(s, store, keys, live)
    classes = [str(name) for name in live.classes]
    found = Map(tasks, keys, places, guesses, confidences, principal, live.backbone, live.name, classes, drawn)
    found.write(s.documents)
    return {"images": len(tasks), "drawn": drawn}


def _embedded(s: Session, store: EmbeddingStore) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All tasks whose images have embeddings, in the order of their ids, and the keys of these: int64 (n,) each."""
    every = s.index.tasks.arrays()
    embedded = store.has(every.keys)
    return every.tasks[embedded], every.keys[embedded]


def _places(
    s: Session,
    store: EmbeddingStore,
    tasks: NDArray[np.int64],
    keys: NDArray[np.int64],
    kept: Map | None,
    backbone: str,
) -> tuple[Principal, NDArray[np.float32], int]:
    """The components of the layout, where each image lies, and how many there were when the layout was computed.

    Images stay where they lay, whatever the backbone: a new layout begins from the old one.
    """
    known = np.full((len(tasks), 2), np.nan, np.float32)
    if kept is not None:
        where = np.searchsorted(kept.tasks, tasks).clip(max=max(len(kept.tasks) - 1, 0))
        same = kept.keys[where] == keys if len(kept.tasks) else np.zeros(len(tasks), bool)
        known[same] = kept.places[where[same]]
    old = np.isfinite(known[:, 0])
    enough = kept is not None and kept.backbone == backbone and old.sum() >= (1 - RENEW) * max(len(tasks), kept.drawn)
    if kept is not None and enough:
        if old.all():
            return kept.principal, known, kept.drawn
        points = _points(s, store, keys, kept.principal)
        known[~old] = among_neighbours(points[~old], points[old], known[old])
        return kept.principal, known, kept.drawn
    sample = np.argsort(uniform_hash(tasks, "map"), kind="stable")[:SAMPLE]
    values, found = store.get(keys[np.sort(sample)])
    if not found.any():
        return Principal(np.zeros(store.dimensions, np.float32), np.zeros((0, store.dimensions), np.float32)), known, 0
    principal = Principal.of(values[found], DIMENSIONS)
    points = _points(s, store, keys, principal)
    return principal, plane(points, known, lambda done, total: s.progress("drawing the map", done, total)), len(tasks)


def _points(s: Session, store: EmbeddingStore, keys: NDArray[np.int64], principal: Principal) -> NDArray[np.float32]:
    """The images in the principal components, float32 (n, d); an image whose embedding is gone meanwhile lies at their mean."""
    out, done = np.zeros((len(keys), len(principal.components)), np.float32), 0
    for positions, embeddings in store.parts(keys):
        out[positions] = principal.of_each(embeddings)
        done += len(positions)
        s.progress("reading embeddings", done, len(keys))
    return out


def _guesses(
    s: Session, store: EmbeddingStore, keys: NDArray[np.int64], live: Version
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """The class that the live version's head gives each image, -1 for none, and its probability: (n,) each. Of several classes
    the most probable one."""
    guesses, confidences = np.full(len(keys), -1, np.int16), np.zeros(len(keys), np.float32)
    if live.head and live.head.separates:
        done = 0
        for positions, embeddings in store.parts(keys):
            probabilities = live.head.probabilities(embeddings)
            guesses[positions], confidences[positions] = probabilities.argmax(axis=1), probabilities.max(axis=1)
            if live.several:
                guesses[positions[~predicted_sets(probabilities).any(axis=1)]] = -1
            done += len(positions)
            s.progress("guessing all images", done, len(keys))
    return guesses, confidences
