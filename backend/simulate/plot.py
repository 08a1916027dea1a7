"""A picture of the curves. The only module that imports matplotlib."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from backend.simulate.protocol import BASELINE
from backend.simulate.report import Results, f1_of, labels_of
from backend.simulate.statistics import estimate
from model.files import write_atomically

INCHES, DPI = (8, 5), 150


def plot(results: Results, path: Path, title: str) -> None:
    """Write a PNG: the mean curve of each method with its 95 % band over seeds, and a line where random sampling ends."""
    labels = labels_of(results)
    figure = Figure(figsize=INCHES, layout="constrained")  # without pyplot: no display, nothing to close
    axes = figure.subplots()
    for number, (name, curves) in enumerate(results.items()):
        colour = "black" if name == BASELINE else f"C{number - 1}"
        values = f1_of(curves)
        axes.plot(labels, values.mean(axis=0), color=colour, label=name, linewidth=1.8, marker="o", markersize=2.5)
        bands = [interval for point in values.T if (interval := estimate(point).interval)]
        if bands:
            low, high = np.clip(np.array(bands).T, 0, 1)
            axes.fill_between(labels, low, high, color=colour, alpha=0.12, linewidth=0)
    end = f1_of(results[BASELINE])[:, -1].mean()
    axes.axhline(end, color="black", linestyle=":", linewidth=1, label=f"{BASELINE} at the end: {end:.3f}")
    seeds = len(results[BASELINE])
    axes.set(xlabel="labels", ylabel="macro F1 on test images", title=f"{title}: means of {seeds} seeds, 95 % bands")
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right")
    write_atomically(path, lambda beside: figure.savefig(beside, format="png", dpi=DPI))
