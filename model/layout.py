"""All images of a project in two dimensions: a t-SNE of their embeddings (van der Maaten and Hinton, JMLR 9, 2008), which keeps
look-alikes together.

openTSNE computes it (Policar et al., Journal of Statistical Software 109, 2024), with the gradient interpolated on a grid
(Linderman et al., Nature Methods 16, 2019), so that 100,000 images take minutes on two cores. A layout that begins from an
older one keeps its shape, and images that come later are placed among their nearest neighbours.
"""

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

DIMENSIONS = 50  # that embeddings are brought down to by PCA first: the nearest stay the nearest, at a fraction of the time
NEIGHBOURS = 15  # of each image that are to be near it
LEAST = 3 * NEIGHBOURS  # images from which there are neighbourhoods to keep; fewer lie as their PCA has them
NEAREST = 5  # neighbours that tell where a new image lies
EXAGGERATED, SETTLING, SHIFTING = 250, 500, 250  # iterations: apart, in place, and from an older layout to a newer one
EVERY = 25  # iterations between two reports
SPREAD = 1e-4  # of the PCA that t-SNE begins with
PART = 256  # images whose neighbours are looked for together
FEW = 5000  # images up to which threads wait for each other more than they help
SEED = 0

Floats = NDArray[np.float32]
Report = Callable[[int, int], None]  # (iterations done, of how many)


def plane(points: Floats, known: Floats, report: Report = lambda *_: None) -> Floats:
    """Where n images lie, float32 (n, 2).

    points: their embeddings, float32 (n, D), from `PCA`; known: where they lay before, float32 (n, 2), NaN for new ones; all
    NaN for a layout that begins from nothing.
    """
    n = len(points)
    old: NDArray[np.bool_] = np.isfinite(known[:, 0])
    if n < LEAST or not points.any():
        return _first_two(points)
    begun = old.sum() >= LEAST
    start = among_neighbours(points[~old], points[old], known[old]) if begun else np.zeros((0, 2), np.float32)
    first = np.where(old[:, None], known, 0).astype(np.float64) if begun else _small(_first_two(points))
    if begun:
        first[~old] = start
    return _optimised(points, first, [(SHIFTING, 1.0)] if begun else [(EXAGGERATED, 12.0), (SETTLING, 1.0)], report)


def among_neighbours(new: Floats, points: Floats, places: Floats) -> Floats:
    """Where new images, float32 (m, D), lie beside those that are placed: the median of their NEAREST neighbours' `places`."""
    k = min(NEAREST, len(points))
    out = np.empty((len(new), 2), np.float32)
    lengths = (points**2).sum(axis=1)
    for begin in range(0, len(new), PART):
        apart = lengths - 2 * new[begin : begin + PART] @ points.T
        near = np.empty((len(apart), k), np.int64)
        for number in range(k):  # k times the least is quicker than a partition
            near[:, number] = apart.argmin(axis=1)
            apart[np.arange(len(apart)), near[:, number]] = np.inf
        out[begin : begin + PART] = np.median(places[near], axis=1)
    return out


def _optimised(points: Floats, first: NDArray[np.float64], phases: list[tuple[int, float]], report: Report) -> Floats:
    """The layout after `phases`, each of (iterations, exaggeration), from `first`."""
    from openTSNE import TSNEEmbedding
    from openTSNE.affinity import Uniform

    cores = len(os.sched_getaffinity(0)) if len(points) > FEW else 1
    total, done = sum(iterations for iterations, _ in phases), 0
    report(0, total)
    near = Uniform(points, k_neighbors=NEIGHBOURS, n_jobs=cores, random_state=SEED)
    layout = TSNEEmbedding(first, near, n_jobs=cores, random_state=SEED, negative_gradient_method="auto")
    for iterations, exaggeration in phases:
        layout.optimize(
            n_iter=iterations,
            exaggeration=exaggeration,
            momentum=0.5 if exaggeration > 1 else 0.8,
            inplace=True,
            callbacks=[lambda iteration, *_, before=done: report(before + iteration, total)],
            callbacks_every_iters=EVERY,
        )
        done += iterations
    return np.asarray(layout, np.float32)


def _first_two(points: Floats) -> Floats:
    """The first two principal components, with zeros where there are fewer."""
    out = np.zeros((len(points), 2), np.float32)
    width = min(2, points.shape[1])
    out[:, :width] = (points - points.mean(axis=0, keepdims=True))[:, :width] if len(points) else 0
    return out


def _small(places: Floats) -> NDArray[np.float64]:
    return (places / max(float(places[:, 0].std()), 1e-12) * SPREAD).astype(np.float64)
