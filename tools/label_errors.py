"""How well wrong labels are found: labels of a folder of images are made wrong on purpose, and counted among the doubts.

    python -m tools.label_errors FOLDER --labels 300 --wrong 0.1

FOLDER has a sub-folder for each class. Of its images LABELS are drawn and labelled, a share WRONG of them as a class that they
are not of; the others are the pool. What is counted is what the page Doubts would show, by the same code. Errors that the data
set has of itself count as false alarms, so that the precision told is at least the one that there is.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.simulate.embed_dataset import embeddings_of
from backend.simulate.folder import Source, images_by_class
from backend.simulate.progress import StepLine
from model.heads.doubts import find_doubts
from model.heads.head import cross_fit, fit_head
from model.heads.learner import Learner
from model.networks.arithmetic import fastest
from model.networks.backbone import BackboneSpec

FIRST = (10, 20)  # doubts, of which the precision is told; of all where there are fewer
Classes = NDArray[np.int64]


def main() -> None:
    """Print a line of figures, each the mean over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, help="of the network, as MODEL_WEIGHTS")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--cache", type=Path, default=Path("data/simulate"), help="where embeddings are kept")
    parser.add_argument("--labels", type=int, default=300)
    parser.add_argument("--wrong", type=float, default=0.1, help="share of the labels")
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    by_class = images_by_class(asked.folder)
    sources = [Source(path) for paths in by_class.values() for path in paths]
    truth = np.repeat(np.arange(len(by_class)), [len(paths) for paths in by_class.values()])
    spec = BackboneSpec.of(asked.backbone, asked.weights, fastest())
    embeddings, there, _ = embeddings_of(sources, spec, asked.cache, 10**9, StepLine())
    images, truth = embeddings[there].astype(np.float32), truth[there]
    runs = [one_run(images, truth, len(by_class), asked.labels, asked.wrong, seed) for seed in range(asked.seeds)]
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"{name:<28} {np.mean(values):.2f} +- {np.std(values):.2f}")


def one_run(
    images: NDArray[np.float32], truth: Classes, classes: int, labels: int, wrong: float, seed: int
) -> dict[str, float]:
    """Draw and spoil labels by `seed`, and look for the spoilt ones. Shares, and the seconds it took beside a round."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(truth))
    taught, pool = order[:labels], order[labels:]
    given = truth[taught].copy()
    spoilt = random.choice(labels, round(wrong * labels), replace=False)
    given[spoilt] = (given[spoilt] + random.integers(1, classes, size=len(spoilt))) % classes
    learner = Learner(images[taught], given, classes, images[pool], seed)
    temperature = fit_head(learner).temperature  # a round has that already
    started = time.perf_counter()
    doubts = find_doubts(given, cross_fit(learner, np.ones(labels, bool), temperature))
    seconds = time.perf_counter() - started
    hits = np.isin(doubts.rows, spoilt)
    found = {f"precision of the first {n}": float(hits[:n].mean()) if len(hits) else 1.0 for n in FIRST}
    right = doubts.suggested[hits] == truth[taught][doubts.rows[hits]]
    return found | {
        "precision of all doubts": float(hits.mean()) if len(hits) else 1.0,
        "recall of all doubts": hits.sum() / max(len(spoilt), 1),
        "suggestion right": float(right.mean()) if len(right) else 1.0,
        "doubts": float(len(hits)),
        "seconds": seconds,
    }


if __name__ == "__main__":
    main()
