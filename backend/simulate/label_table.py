"""A folder whose labels.csv says of which classes each image is: several, one or none.

Columns: file, and labels with ";" between them.
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.simulate.errors import OptionsError
from backend.simulate.folder import EXTENSIONS

NAME = "labels.csv"
BETWEEN = ";"
COLUMNS = ("file", "labels")


def read_label_table(folder: Path) -> tuple[list[Path], list[str], NDArray[np.bool_]]:
    """The n images that the table in `folder` names, the C classes in the order of their names, and which of them each image is
    of, bool (n, C). Raises OptionsError where the table cannot be used."""
    table = folder / NAME
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if missing := set(COLUMNS) - set(rows.fieldnames or []):
                raise OptionsError(f"{table} needs the columns {' and '.join(COLUMNS)}, and lacks {sorted(missing)[0]}.")
            named = {
                row["file"]: {name.strip() for name in (row["labels"] or "").split(BETWEEN)} - {""}
                for row in rows
                if row["file"]
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OptionsError(f"{table} cannot be read: {error}") from error
    paths = [folder / name for name in named]
    if lost := next((path for path in paths if path.suffix.lower() not in EXTENSIONS or not path.is_file()), None):
        raise OptionsError(f"{table} names {lost.relative_to(folder)}, and there is no such image.")
    classes = sorted(set().union(*named.values()))
    sets = np.array([[name in labels for name in classes] for labels in named.values()], bool).reshape(len(paths), len(classes))
    if not (sets.any(axis=0) & (~sets).any(axis=0)).any():
        raise OptionsError(f"{table} needs a class that some of its images are of and others are not.")
    return paths, classes, sets
