"""Collages of photos from a folder with a sub-folder for each class: images of several classes, or of none, to simulate on.

`python -m tools.collages PHOTOS --to OUT` writes 2 x 2 collages, and labels.csv with the classes in each. Those named by
--besides fill tiles and are no classes. How often a class occurs falls from the first to the last.
"""

import argparse
import csv
import random
from pathlib import Path

from PIL import Image, ImageOps

from backend.simulate.folder import images_by_class

TILE = 224  # pixels
TILES = 4
OFTEN, SELDOM = 0.5, 0.1  # shares of collages that the first and the last class are in


def main() -> None:
    """Write the collages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--besides", nargs="*", default=[])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    by_class = {name: paths for folder in asked.photos for name, paths in images_by_class(folder).items()}
    classes = [name for name in by_class if name not in asked.besides]
    fillers = [path for name in asked.besides for path in by_class[name]]
    chance = random.Random(asked.seed)  # noqa: S311  pictures, not secrets
    asked.to.mkdir(parents=True)
    with (asked.to / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "labels"])
        for number in range(asked.count):
            shown = _drawn(classes, chance)
            tiles = [chance.choice(by_class[name]) for name in shown]
            tiles += [chance.choice(fillers) for _ in range(TILES - len(tiles))]
            chance.shuffle(tiles)
            name = f"{number:05}.jpg"
            _collage(tiles).save(asked.to / name, quality=85)
            table.writerow([name, ";".join(shown)])


def _drawn(classes: list[str], chance: random.Random) -> list[str]:
    """The classes of one collage: each by its own share, at most as many as there are tiles."""
    last = max(len(classes) - 1, 1)
    found = [name for at, name in enumerate(classes) if chance.random() < OFTEN + (SELDOM - OFTEN) * at / last]
    return found if len(found) <= TILES else sorted(chance.sample(found, TILES), key=classes.index)


def _collage(paths: list[Path]) -> Image.Image:
    sheet = Image.new("RGB", (2 * TILE, 2 * TILE))
    for at, path in enumerate(paths):
        with Image.open(path) as photo:
            sheet.paste(ImageOps.fit(photo.convert("RGB"), (TILE, TILE)), (TILE * (at % 2), TILE * (at // 2)))
    return sheet


if __name__ == "__main__":
    main()
