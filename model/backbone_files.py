"""Where a project keeps its backbones: a note on each, and weights of those that were retrained, in `backbones`; embeddings in
`embeddings`. Where machines share a bucket, all of it lies there, with the weights that a base has from a file as well.

A note, once there, is never changed where machines share it: it names the file where it lay on the machine that wrote it.
"""

import shutil
from pathlib import Path

from model.backbone_note import BackboneNote, note_file, read_note, write_note
from model.storage.documents_in_bucket import FRESH_SECONDS
from model.storage.files import sync
from model.storage.mirror import Mirror

NOTE, WEIGHTS = ".json", ".safetensors"  # how the names of files end; weights of a base end as their file does


class BackboneFiles:
    """The files of the backbones of the project in `folder`. mirror: of `folder`; all may then raise StoreUnavailable."""

    def __init__(self, folder: Path, mirror: Mirror | None = None) -> None:
        self._folder = folder
        self._files, self._embeddings = folder / "backbones", folder / "embeddings"
        self._mirror = mirror
        self._shared = mirror and mirror.within("backbones")

    def note(self, name: str) -> BackboneNote | None:
        """The note on `name`, None where there is none that can be read."""
        path = note_file(self._folder, name)
        if not self._shared:
            return read_note(path)
        if not self._shared.copy(path.name):
            return None
        return read_note(path) or (read_note(path) if self._shared.fetch_again(path.name) else None)

    def has_weights(self, name: str) -> bool:
        """Whether the weights of `name` are kept."""
        return self._kept(name) is not None if self._shared else self._own(name).is_file()

    def weights(self, name: str) -> Path | None:
        """The file with the weights of `name` that are kept, None where there are none."""
        if not self._shared:
            return self._own(name) if self._own(name).is_file() else None
        kept = self._kept(name)
        return self._shared.copy(kept) if kept else None

    def _own(self, name: str) -> Path:
        return self._files / f"{name}{WEIGHTS}"

    def _kept(self, name: str) -> str | None:
        """The name of the file of weights in the bucket; where there seems to be none, that is looked at now."""
        assert self._shared  # noqa: S101
        for age in (FRESH_SECONDS, 0):
            for file in self._shared.listing(age).names:
                if Path(file).stem == name and not file.endswith(NOTE):
                    return file
        return None

    def write(self, name: str, note: BackboneNote, weights: Path | None) -> None:
        """Write the note on a base, and keep its `weights` where machines share them."""
        path = note_file(self._folder, name)
        if not self._shared:
            write_note(path, note)
            return
        if not self.note(name):
            write_note(path, note)
            self._shared.put(path.name)
        if weights and not self.has_weights(name):
            self._shared.put(f"{name}{weights.suffix}", weights)

    def adopt(self, name: str, note: BackboneNote, file: Path) -> None:
        """Take in the weights in `file`, which is moved. Nobody takes them for those of a base: the note is there first."""
        write_note(note_file(self._folder, name), note)
        if self._shared:
            self._shared.put(f"{name}{NOTE}")
            self._shared.put(f"{name}{WEIGHTS}", file)
        file.replace(self._own(name))
        sync(self._files)

    def names(self) -> set[str]:
        """Names of the backbones of which there is a note or weights."""
        if self._shared:
            return {Path(file).stem for file in self._shared.listing(certain=True).names}
        return {path.stem for path in self._files.glob("[!.]*")}

    def all_names(self) -> set[str]:
        """And of those of which there are embeddings."""
        if self._mirror:
            files = self._mirror.within("embeddings").listing(certain=True).names
            return self.names() | {file.partition("/")[0] for file in files}
        return self.names() | {path.name for path in self._embeddings.glob("[!.]*")}

    def remove(self, name: str) -> None:
        """Remove all that there is of `name`, its weights first; files of bases stay where they lay."""
        if self._shared and self._mirror:
            files = [file for file in self._shared.listing(certain=True).names if Path(file).stem == name]
            self._shared.remove(*sorted(files, key=lambda file: file.endswith(NOTE)))
            self._mirror.within(f"embeddings/{name}").clear()
        self._own(name).unlink(missing_ok=True)
        note_file(self._folder, name).unlink(missing_ok=True)
        shutil.rmtree(self._embeddings / name, ignore_errors=True)

    def clear(self) -> None:
        """Remove everything."""
        if self._mirror:
            for below in ("backbones", "embeddings"):
                self._mirror.within(below).clear()
        shutil.rmtree(self._files, ignore_errors=True)
        shutil.rmtree(self._embeddings, ignore_errors=True)
