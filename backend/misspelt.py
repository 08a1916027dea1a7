"""Names in the environment and in the file .env that look like settings and are none, so that nobody sets them in vain."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

from dotenv import dotenv_values

OTHERS = {  # of docker-compose.yml, which reads the same file, and of settings under another name
    "LABEL_STUDIO_HOST",
    "LABEL_STUDIO_PUBLISH",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK",
    "POSTGRES_PASSWORD",
    "SERVER_PUBLISH",
    "TORCH_INDEX",
}
SHORT = 7  # letters: names below it, such as HOST, resemble too many of other programs
ALIKE = 0.85  # similarity, by difflib's ratio, of what is taken for a slip
SHARED = {"LABEL"}  # first words that Label Studio's own variables have as well


def misspelt(settings: Iterable[str], environment: Mapping[str, str], file: Path) -> list[str]:
    """A sentence for each variable that looks like one of `settings` and is none.

    In `file`, which is there for settings, anything alike or with a first word of theirs is told; in the environment, where
    other programs have theirs, only what is nearly the name of a setting.
    """
    names = {name.upper() for name in settings}
    known = names | OTHERS
    words = {name.partition("_")[0] for name in names if "_" in name} - SHARED
    told = []
    if file.is_dir():
        told.append(f"{file} is a folder: no setting is read from it.")
    for name in sorted(_names_in(file) - known):
        if near := _nearest(name, names):
            told.append(f"{file}: {name} is no setting. Did you mean {near}?")
        elif name.partition("_")[0] in words:
            told.append(f"{file}: {name} is no setting. `al-backend settings` lists them all.")
    for name in sorted({name.upper() for name in environment} - known - _names_in(file)):
        if len(name) >= SHORT and (near := _nearest(name, {known for known in names if len(known) >= SHORT})):
            told.append(f"The environment variable {name} is no setting. Did you mean {near}?")
    return told


def _nearest(name: str, names: set[str]) -> str | None:
    squeezed = {known.replace("_", ""): known for known in names}
    found = difflib.get_close_matches(name.replace("_", "").replace("-", ""), squeezed, 1, ALIKE)
    return squeezed[found[0]] if found else None


def _names_in(file: Path) -> set[str]:
    """The variables that `file` sets; none where it is not there."""
    if not file.is_file():
        return set()
    return {name.upper() for name in dotenv_values(file, encoding="utf-8-sig", interpolate=False)}
