"""Made-up embeddings on the unit sphere, for tests of heads."""

from dataclasses import replace

import numpy as np


def normalised(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def images(n, dimensions=40, classes=3, apart=1.0, seed=0):
    """Gaussian classes `apart` from each other, on the unit sphere: (embeddings, labels). 0 apart: labels are noise."""
    random = np.random.default_rng(seed)
    centres = apart * np.random.default_rng(99).normal(size=(classes, dimensions))
    labels = np.arange(n) % classes
    return normalised(centres[labels] + random.normal(size=(n, dimensions))), labels


def arc(n0, n1, seed):
    """Two classes that overlap on an arc."""
    random = np.random.default_rng(seed)
    angles = np.concatenate([random.normal(-0.3, 0.3, n0), random.normal(0.3, 0.3, n1)])
    return normalised(np.column_stack([np.cos(angles), np.sin(angles)])), np.repeat([0, 1], [n0, n1])


def uncalibrated(head, embeddings):
    return replace(head, temperature=1.0).probabilities(embeddings)
