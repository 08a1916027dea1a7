"""Many multinomial logistic regressions on the same images, fitted together: one product of matrices serves all of them.

Folds and random parts of the labels differ only in how much an image weighs, so they share every read of the embeddings.
Everything is kept by class, then by regression, then by image or dimension: sums over classes then run over whole arrays.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MEMORY = 10  # steps that the optimiser remembers
TRIES = 12  # lengths of a step, at most
DECREASE, CURVATURE = 1e-3, 0.9  # Wolfe's conditions on the length of a step, as in SciPy's L-BFGS-B
FARTHER = 4.0  # x the length of a step that was too short
NEVER = np.float32(-1e30)  # the logit of a class that a regression does not have

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Remembered = tuple[Floats, Floats, Doubles]  # a step, the change of the gradient, 1 / their product or 0 where that is none


@dataclass(frozen=True, eq=False)
class Regressions:
    """F regressions on the same m images. Parameters of all are float32 (C, F, R + 1), the bias last.

    inputs: float32 (m, R + 1), the last column 1; targets: float32 (C, F, m), the weight of an image in a regression at its
    class there, 0 at the others: a regression's sum to 1; penalties: float32 (F,). The loss of a regression is the log loss so
    weighted and half its penalty times its squared weights, without the bias.
    """

    inputs: Floats
    targets: Floats
    penalties: Floats

    def logits(self, parameters: Floats) -> Floats:
        """Of every image in every regression, (C, F, m)."""
        classes, fits, width = parameters.shape
        return (parameters.reshape(-1, width) @ self.inputs.T).reshape(classes, fits, -1)

    def fit(self, parameters: Floats, steps: int, tolerance: float) -> Floats:
        """The parameters after at most `steps` steps of L-BFGS (Liu & Nocedal 1989) from those given.

        A regression takes no more once its gradient is within `tolerance` of 0 everywhere. Classes without a target must start
        from zeros, and keep them.
        """
        logits = self.logits(parameters) + np.where(self.targets.any(axis=2, keepdims=True), np.float32(0), NEVER)
        gradient = self._gradient(logits, parameters)
        memory: list[Remembered] = []
        moving = np.ones(parameters.shape[1], bool)
        for _ in range(steps):
            moving &= abs(gradient).max(axis=(0, 2)) > tolerance
            if not moving.any():
                break
            direction = _direction(gradient, memory) * moving[:, None]
            line = _Line(self, logits, parameters, self.logits(direction), direction)
            first = np.ones(len(moving)) if memory else 1 / np.sqrt(np.maximum(_dot(gradient, gradient), 1e-30))
            length = line.length(np.where(moving, first, 0))
            moving &= length > 0
            step, before = _columns(length) * direction, gradient
            logits, parameters = logits + _columns(length) * line.ahead, parameters + step
            gradient = self._gradient(logits, parameters)
            change = gradient - before
            product = _dot(step, change)
            inverse = np.divide(1, product, out=np.zeros_like(product), where=product > 0)
            memory = [*memory[1 - MEMORY :], (step, change, inverse)]
        return parameters

    def log_loss(self, logits: Floats) -> tuple[Doubles, Floats]:
        """The weighted log loss of each regression, (F,), and its gradient by the `logits`, (C, F, m)."""
        top = logits.max(axis=0)
        p = np.exp(logits - top)
        total = p.sum(axis=0)
        loss = np.einsum("fm,fm->f", self._weights, np.log(total) + top, dtype=np.float64)
        loss -= np.einsum("cfm,cfm->f", self.targets, logits, dtype=np.float64)
        p *= self._weights / total
        return loss, np.subtract(p, self.targets, out=p)

    def shrink(self, parameters: Floats) -> Floats:
        """The gradient of the penalties."""
        shrunk = self.penalties[:, None] * parameters
        shrunk[:, :, -1] = 0
        return shrunk

    @cached_property
    def _weights(self) -> Floats:
        return self.targets.sum(axis=0)

    def _gradient(self, logits: Floats, parameters: Floats) -> Floats:
        by_logits = self.log_loss(logits)[1]
        by_parameters = by_logits.reshape(-1, by_logits.shape[2]) @ self.inputs
        return by_parameters.reshape(parameters.shape) + self.shrink(parameters)


class _Line:
    """The losses along a direction from where regressions stand: logits change evenly, so no length of a step needs a product
    of matrices. ahead: the change of logits, (C, F, m), for a step of the length 1."""

    def __init__(self, regressions: Regressions, logits: Floats, parameters: Floats, ahead: Floats, direction: Floats) -> None:
        self.ahead = ahead
        self._regressions, self._logits = regressions, logits
        shrunk = regressions.shrink(direction)
        self._still = _dot(regressions.shrink(parameters), parameters)
        self._rising, self._bent = _dot(shrunk, parameters), _dot(shrunk, direction)

    def at(self, length: Doubles) -> tuple[Doubles, Doubles]:
        """Loss and slope of each regression at its `length`, (F,) each."""
        loss, by_logits = self._regressions.log_loss(self._logits + _columns(length) * self.ahead)
        slope = np.einsum("cfm,cfm->f", by_logits, self.ahead, dtype=np.float64)
        penalty = self._still / 2 + length * self._rising + length**2 * self._bent / 2
        return loss + penalty, slope + self._rising + length * self._bent

    def length(self, length: Doubles) -> Doubles:
        """Lengths that fulfil Wolfe's conditions, (F,), from the first to try; 0 where there is none, or none to try."""
        start, descent = self.at(np.zeros_like(length))
        trying = (length > 0) & (descent < 0)
        low, low_slope = np.zeros_like(length), descent
        high, high_slope = np.full_like(length, np.inf), np.zeros_like(length)
        for _ in range(TRIES):
            loss, slope = self.at(np.where(trying, length, low))
            far = trying & ((loss > start + DECREASE * length * descent) | (slope > -CURVATURE * descent))
            near = trying & ~far
            low, low_slope = np.where(near, length, low), np.where(near, slope, low_slope)
            high, high_slope = np.where(far, length, high), np.where(far, slope, high_slope)
            trying = far | (near & (slope < CURVATURE * descent))
            if not trying.any():
                break
            bounded = np.isfinite(high)
            share = np.clip(low_slope / np.where(bounded, low_slope - high_slope, 1), 0.1, 0.9)  # where the slope should be 0
            length = np.where(bounded, low + share * (np.where(bounded, high, 0) - low), FARTHER * length)
        return low


def _direction(gradient: Floats, memory: list[Remembered]) -> Floats:
    """Minus the gradient times the inverse Hessian, as far as the `memory` tells it."""
    direction, shares = -gradient, []
    for step, change, inverse in reversed(memory):
        shares.append(inverse * _dot(step, direction))
        direction -= _columns(shares[-1]) * change
    if memory:
        _, change, inverse = memory[-1]
        direction *= _columns(np.divide(1, inverse * _dot(change, change), out=np.ones_like(inverse), where=inverse > 0))
    for (step, change, inverse), share in zip(memory, reversed(shares), strict=True):
        direction += _columns(share - inverse * _dot(change, direction)) * step
    return direction


def _dot(a: Floats, b: Floats) -> Doubles:
    return np.einsum("cfp,cfp->f", a, b).astype(np.float64)


def _columns(values: Doubles) -> Floats:
    return values.astype(np.float32)[:, None]
