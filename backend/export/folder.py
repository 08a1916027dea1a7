"""The folder of an export: it appears whole or not at all, and takes the place of nothing but an older export."""

import errno
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from model.storage.files import read_json, sync, write_json

MANIFEST, MADE_BY = "export.json", "al-backend export"
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # of which the error does not say where
PASSED_OVER = {"__pycache__", ".DS_Store"}  # what Python and file managers leave behind


class ExportError(RuntimeError):
    """An export that cannot be made; the message says why and what to do."""


def check_free(to: Path) -> None:
    """Raise ExportError where something else than an export, with all its files and no more, stands in the place of `to`."""
    if not to.exists() and not to.is_symlink():
        return
    manifest = read_json(to / MANIFEST) if to.is_dir() and not to.is_symlink() else None
    ours = isinstance(manifest, dict) and manifest.get("made_by") == MADE_BY and isinstance(manifest.get("files"), list)
    if not ours and not (to.is_dir() and not to.is_symlink() and not any(to.iterdir())):
        raise ExportError(f"{to} is there, and no export of ours: choose another folder with --to.")
    if foreign := sorted(set(_files(to)) - {MANIFEST, *(manifest or {}).get("files", [])}):
        raise ExportError(f"{to} holds {foreign[0]}, which no export wrote: move it away, or choose another folder with --to.")


@contextmanager
def whole_folder(to: Path, about: dict[str, Any]) -> Iterator[Path]:
    """A folder to fill, which becomes `to` where all goes well, in place of an older export. about: what its manifest says.

    Raises ExportError where `to` is taken, or cannot be written.
    """
    check_free(to)
    beside, old = (to.with_name(f".{to.name}.{uuid.uuid4().hex[:8]}.{end}") for end in ("tmp", "old"))
    try:
        beside.mkdir(parents=True)
        yield beside
        write_json(beside / MANIFEST, {"made_by": MADE_BY, **about, "files": _files(beside)})
        for name in _files(beside):
            sync(beside / name)
        check_free(to)  # it took minutes
        _put(beside, to, old)
    except (OSError, SafetensorError) as error:
        if isinstance(error, OSError) and error.errno not in FULL and to.parent not in Path(str(error.filename)).parents:
            raise
        why = error.strerror if isinstance(error, OSError) else error
        raise ExportError(f"{to} cannot be written ({why}): choose another folder with --to.") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _put(beside: Path, to: Path, old: Path) -> None:
    """Rename `beside` to `to`; the older export stays where that fails."""
    replaced = to.exists()
    if replaced:
        to.rename(old)
    try:
        beside.rename(to)
    except OSError:
        if replaced:
            old.rename(to)
        raise
    sync(to.parent)
    shutil.rmtree(old, ignore_errors=True)


def _files(folder: Path) -> list[str]:
    """Every file in `folder`, by its path from there."""
    paths = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = (path.relative_to(folder) for path in paths)
    return sorted(str(name) for name in names if not PASSED_OVER & set(name.parts))
