"""A picture of the curves. The only module that imports matplotlib."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from backend.simulate.protocol import BASELINE, CEILING, STANDARD
from backend.simulate.results import Results
from backend.simulate.statistics import estimate
from model.storage.files import write_atomically

INCHES, DPI = (8, 5), 150  # of each network's part
COLOURS = {BASELINE: "black", STANDARD: "grey"}  # of the baselines; methods have others


def plot(networks: Mapping[str, Results], path: Path, title: str) -> None:
    """Write a PNG, the networks beside each other, on one scale of F1."""
    width, height = INCHES
    size = (width * len(networks), height)
    figure = Figure(figsize=size, layout="constrained")  # without pyplot: no display, nothing to close
    parts = figure.subplots(1, len(networks), sharey=True, squeeze=False)[0]
    for axes, (name, results) in zip(parts, networks.items(), strict=True):
        _draw(axes, results, f"{title}: {name}" if len(networks) > 1 else title)
    write_atomically(path, lambda beside: figure.savefig(beside, format="png", dpi=DPI))


def _draw(axes: Axes, results: Results, title: str) -> None:
    """The mean curve of each method with its 95 % band over seeds, where random sampling ends, and the ceiling."""
    methods = [name for name in results.curves if name not in COLOURS]
    for name in results.curves:
        colour = COLOURS.get(name) or f"C{methods.index(name)}"
        values = results.f1(name)
        axes.plot(results.labels, values.mean(axis=0), color=colour, label=name, linewidth=1.8, marker="o", markersize=2.5)
        bands = [interval for point in values.T if (interval := estimate(point).interval)]
        if bands:
            low, high = np.clip(np.array(bands).T, 0, 1)
            axes.fill_between(results.labels, low, high, color=colour, alpha=0.12, linewidth=0)
    end, ceiling = results.f1(BASELINE)[:, -1].mean(), results.ceiling_f1().mean
    axes.axhline(end, color="black", linestyle=":", linewidth=1, label=f"{BASELINE} at the end: {end:.3f}")
    all_labels = f"{CEILING.name}, all {results.ceiling[0].labels[-1]} labels: {ceiling:.3f}"
    axes.axhline(ceiling, color="grey", linestyle="--", linewidth=1, label=all_labels)
    seeds = len(results.ceiling)
    axes.set(xlabel="labels", ylabel="macro F1 on test images", title=f"{title}: means of {seeds} seeds, 95 % bands")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right")
