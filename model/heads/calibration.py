"""Temperature scaling (Guo 1706.04599): how sure a classifier may be of itself."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

BOUNDS = (-3.0, 3.0)  # of log temperature


def log_loss(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean negative log-likelihood of `labels`, int64 (n,), under `logits`, of shape (n, C)."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def best_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64], prior: float = np.inf) -> float:
    """The temperature by which `logits`, of shape (n, C), are divided for the least log loss on `labels`, int64 (n,).

    A log-normal prior of the standard deviation `prior` draws it towards 1.
    """

    def loss(log_temperature: float) -> float:
        fit = len(labels) * log_loss(logits / np.exp(log_temperature), labels)
        return fit + log_temperature**2 / (2 * prior**2)

    return float(np.exp(minimize_scalar(loss, bounds=BOUNDS, method="bounded").x))
