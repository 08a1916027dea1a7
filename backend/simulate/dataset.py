"""The images of a simulation: their classes, which are copies of which, and which are for the test."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.simulate.errors import OptionsError
from backend.simulate.folder import Source, images_by_class
from backend.simulate.label_table import NAME, read_label_table
from model.heads.logistic import Labels


@dataclass(frozen=True)
class Dataset:
    """n images, near-copies included.

    classes: C names; labels: int64 (n,), or bool (n, C) where an image may be of several classes or of none; originals: int64
    (n,), the row of the image it is a copy of, its own for an original; test: bool (n,), for the test by its file name; none:
    the test is drawn for each seed; embeddings: float16 (n, D), L2-normalised, may be mapped from disk; (n, 0) before they are
    made; sources: n files.
    """

    classes: tuple[str, ...]
    labels: Labels
    originals: NDArray[np.int64]
    test: NDArray[np.bool_]
    embeddings: NDArray[np.float16]
    sources: tuple[Source, ...]

    @property
    def independent(self) -> bool:
        """Whether an image may be of several classes or of none."""
        return self.labels.ndim > 1

    @cached_property
    def digest(self) -> str:
        """A hash of everything here that a curve depends on."""
        hashed = hashlib.sha256(repr(self.classes).encode())
        for values in (self.labels, self.originals, self.test, self.embeddings):
            hashed.update(np.ascontiguousarray(values).data)
        return hashed.hexdigest()

    def only(self, rows: NDArray[np.int64], embeddings: NDArray[np.floating]) -> "Dataset":
        """The images of `rows`, sorted, with every original of a copy among them; and their embeddings, (len(rows), D)."""
        return Dataset(
            self.classes,
            self.labels[rows],
            np.searchsorted(rows, self.originals[rows]),
            self.test[rows],
            embeddings.astype(np.float16),
            tuple(self.sources[row] for row in rows),
        )


def list_dataset(folder: Path, prefixes: tuple[str, str] | None = None, copies: int = 0) -> tuple[Dataset, int]:
    """The images of `folder` with `copies` near-copies of each that may be labelled, in the order of classes and names; and how
    many files are left out.

    prefixes: of the names of files for labelling and for the test, where names say it; a file with neither is left out. Raises
    ValueError.
    """
    paths, classes, known = _labelled_files(folder)
    rows: list[tuple[Source, int, int, bool]] = []
    left_out = 0
    for number, path in enumerate(paths):
        test = prefixes is not None and path.name.startswith(prefixes[1])
        if prefixes and not test and not path.name.startswith(prefixes[0]):
            left_out += 1
            continue
        original = len(rows)
        rows += [(Source(path, copy), number, original, test) for copy in range(1 if test else 1 + copies)]
    if prefixes:
        _check_prefixes(folder, prefixes, [row[3] for row in rows])
    sources, numbers, originals, tests = zip(*rows, strict=True)
    arrays = (known[np.array(numbers)], np.array(originals, np.int64), np.array(tests, bool))
    return Dataset(tuple(classes), *arrays, np.zeros((len(rows), 0), np.float16), sources), left_out


def _labelled_files(folder: Path) -> tuple[list[Path], list[str], Labels]:
    """The files, the classes and the label of each file: as its labels.csv says, or else by sub-folders."""
    if (folder / NAME).is_file():
        return read_label_table(folder)
    by_class = images_by_class(folder)
    labels = np.repeat(np.arange(len(by_class)), [len(paths) for paths in by_class.values()])
    return [path for paths in by_class.values() for path in paths], list(by_class), labels


def _check_prefixes(folder: Path, prefixes: tuple[str, str], test: Sequence[bool]) -> None:
    for prefix, count in zip(prefixes, (len(test) - sum(test), sum(test)), strict=True):
        if not count:
            raise OptionsError(f"--split {'/'.join(prefixes)}: no image in {folder} has a name that starts with {prefix!r}.")
