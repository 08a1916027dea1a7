"""From what a backbone's embeddings were made, on disk beside them: a new image is embedded as the others were, whatever the
settings say by then. Read without torch."""

from dataclasses import asdict, dataclass
from pathlib import Path

from model.storage.files import read_json, write_json

OLD_PREPROCESSING = "resize256-crop224-v1"  # of embeddings from before notes were written: torchvision's centre crop
OLD_WIDTH = 2048


@dataclass(frozen=True)
class BackboneNote:
    """The defaults are what held before notes were written.

    network, preprocessing, arithmetic: as in BackboneSpec; weights: its file, "" for the library's and for a retrained
    backbone's, which lie beside the note; width: dimensions of an embedding.
    depth: how deep it was retrained, "" where it was not; tasks: ids of the tasks that it learned or stopped on; base: name of
    the backbone that it was retrained from, "" where that is not known.
    """

    network: str = "resnet50"
    weights: str = ""
    preprocessing: str = OLD_PREPROCESSING
    arithmetic: str = "float32"
    width: int = OLD_WIDTH
    depth: str = ""
    tasks: tuple[int, ...] = ()
    base: str = ""


def title_of(network: str, weights: str = "") -> str:
    """What people call a network with the weights in the file `weights`, "" for the library's."""
    title = {"resnet50": "ResNet50"}.get(network, network)
    return f"{title} with {Path(weights).name}" if weights else title


def note_file(folder: Path, name: str) -> Path:
    """Where the note of the backbone `name` lies in a project's `folder`."""
    return folder / "backbones" / f"{name}.json"


def read_note(path: Path) -> BackboneNote | None:
    """The note in `path`, None where there is none that can be read."""
    found = read_json(path)
    if not isinstance(found, dict):
        return None
    known = {key: value for key, value in found.items() if key in BackboneNote.__dataclass_fields__}
    try:
        note = BackboneNote(**(known | {"tasks": tuple(map(int, known.get("tasks", ())))}))
    except (TypeError, ValueError):
        return None
    texts = (note.network, note.weights, note.preprocessing, note.arithmetic, note.depth, note.base)
    return note if all(isinstance(text, str) for text in texts) and isinstance(note.width, int) else None


def write_note(path: Path, note: BackboneNote) -> None:
    """Write `note`, whole or not at all."""
    write_json(path, asdict(note))
