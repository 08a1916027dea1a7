"""CSV files that a spreadsheet takes for text and numbers, whatever names and addresses they hold."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BETWEEN = ";"  # classes in one cell, as `simulate` reads them
FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # with one of these a spreadsheet takes a cell for a formula


def guarded(text: str) -> str:
    """`text` as a cell: with an apostrophe before what would be a formula; half UTF-16 pairs, which no file takes, escaped."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> None:
    """Write a CSV in UTF-8; text is guarded, numbers are written as they are."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([guarded(name) for name in header])
        for row in rows:
            table.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in row])


def names_in(chosen: NDArray[np.bool_], classes: Sequence[str]) -> str:
    """The `chosen` of C classes, bool (C,), as one cell."""
    return BETWEEN.join(name for name, is_in in zip(classes, chosen.tolist(), strict=True) if is_in)
