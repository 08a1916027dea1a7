"""Imports go down the house, never up: who reads a room needs to know those below it alone."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

FLOORS = [
    {"model.storage", "model.threads"},
    {"model.networks", "model.heads"},
    {"model.embeddings", "model.measuring"},
    {"strategies", "model", "backend.network", "backend.misspelt", "backend.processes", "backend.terminal"},
    {"backend.settings"},
    {"backend.labelstudio", "backend.queue", "backend.learning"},
    {"backend.index", "backend.records"},
    {"backend.project"},
    {"backend.connection"},
    {"backend.status"},
    {"backend.pages"},
    {"backend.server", "backend.jobs", "backend.doctor", "backend.export"},
    {"backend.commands"},
    {"backend.simulate", "backend.bench"},
    {"backend.__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = [path.relative_to(ROOT) for top in ("backend", "model", "strategies") for path in sorted((ROOT / top).rglob("*.py"))]


def room(module: str) -> str:
    """The room that holds a module: a folder or a leaf of backend, a folder of model, or one of the packages."""
    top, *below = module.split(".")[:2]
    return f"{top}.{below[0]}" if below and (top == "backend" or f"{top}.{below[0]}" in FLOOR) else top


def imported(path: Path) -> Iterator[str]:
    """Rooms of this project that a file imports, wherever in it."""
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "backend" else [node.module]
        yield from (room(name) for name in names if room(name) in FLOOR)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_file_imports_from_floors_below_its_own(path):
    mine = room(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
    if mine == "backend":
        return
    assert [other for other in imported(path) if other != mine and FLOOR[other] >= FLOOR[mine]] == []


def test_every_room_has_a_floor():
    rooms = {room(".".join(path.with_suffix("").parts).removesuffix(".__init__")) for path in FILES} - {"backend"}
    assert rooms == set(FLOOR)


def test_where_projects_lie_is_settled_in_one_place():
    files = [*FILES, *(path.relative_to(ROOT) for path in (ROOT / "tools").rglob("*.py"))]
    own = (
        "backend/records/state.py",
        "backend/project/sharing.py",
        "backend/bench/",
        "tools/demo.py",
    )  # the others have a DATA_DIR of their own, and no STORE
    elsewhere = [path for path in map(str, files) if not path.startswith(own)]
    assert [
        path for path in elsewhere if re.search(r"\bProjects\(", (ROOT / path).read_text().replace("class Projects:", ""))
    ] == []
