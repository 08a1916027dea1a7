"""Made-up embeddings on the unit sphere, for tests of heads; and the backbone that most tests use."""

from dataclasses import replace

import numpy as np

from model.networks.arithmetic import fastest
from model.networks.backbone import BackboneSpec

DIMENSIONS = 2048  # of ResNet50's embeddings


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


def resnet50(weights, arithmetic=None, preprocessing=""):
    """ResNet50 with the weights in the file `weights`, as this machine runs it."""
    return BackboneSpec.of("resnet50", weights, arithmetic or fastest(), preprocessing)
