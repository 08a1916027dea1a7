"""Groups of look-alikes that may be labelled together, among the project's documents: those that a round has found, and those
that people have chosen themselves."""

import re
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress

from pydantic import FiniteFloat, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from model.storage.documents import Documents

FOLDER = "groups"
ENDING = ".jsonl"
ASKED = "asked"  # the file of groups that people have chosen; each version has a file of its name
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,80}")  # of versions and groups: no path to anywhere else


@dataclass(frozen=True)
class Group:
    """Images that may be labelled together.

    tasks: their ids, first the one that the others are like; label: the class that the head would give them, "" where it cannot
    say; confidences: of each image that it is of that class, () where there is none; why: what they have in common, for people.
    """

    name: str
    tasks: tuple[int, ...]
    label: str
    confidences: tuple[FiniteFloat, ...]
    why: str


LINE = TypeAdapter(Group)


class Groups:
    """The groups of a project, among its `documents`: one for each version, with a line for each group, so that a damaged line
    costs itself alone."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents.within(FOLDER)

    def read(self, version: str) -> list[Group]:
        """The groups to label while the queue follows `version`: first those that people have chosen, the newest before the
        others, then those that its round has found. Some of their tasks may be labelled or gone since."""
        return [*self._lines(ASKED), *(self._lines(version) if NAME.fullmatch(version) and version != ASKED else [])]

    def write(self, version: str, groups: Sequence[Group]) -> None:
        """Keep what the round of `version` has found, in place of what is there under its name."""
        _check(version)
        with self._documents.locked(_file(version)):
            self._put(version, groups)

    def ask(self, tasks: Sequence[int], who: str) -> Group:
        """A group of `tasks`, at least one, that `who` has chosen: the first of all until it is let go, whatever version the
        queue follows. It has no label of its own: what the head says of it depends on the version."""
        tasks = tuple(dict.fromkeys(tasks))
        if not tasks:
            raise ValueError("a group needs at least one task")
        group = Group(f"{ASKED}-{int(time.time())}-{uuid.uuid4().hex[:6]}", tasks, "", (), f"chosen by {who}")
        with self._documents.locked(_file(ASKED)):
            self._put(ASKED, [group, *self._lines(ASKED)])
        return group

    def let_go(self, name: str) -> None:
        """Forget the group `name`: it is done, or nobody wants it. Nothing happens where there is none."""
        for of in (file.removesuffix(ENDING) for file in self._documents.names() if file.endswith(ENDING)):
            if any(group.name == name for group in self._lines(of)):
                with self._documents.locked(_file(of)):
                    self._put(of, [group for group in self._lines(of) if group.name != name])

    def forget(self, version: str) -> None:
        """Forget what the round of `version` has found: the version is gone."""
        _check(version)
        self._documents.remove(_file(version))

    def clear(self) -> None:
        """Forget all: the project is another one under the same id."""
        self._documents.clear()

    def _lines(self, of: str) -> list[Group]:
        groups = []
        for line in self._documents.read_text(_file(of)).splitlines():
            with suppress(ValidationError):
                groups.append(LINE.validate_json(line))
        return groups

    def _put(self, of: str, groups: Sequence[Group]) -> None:
        self._documents.write(_file(of), b"".join(LINE.dump_json(group) + b"\n" for group in groups))


def _check(version: str) -> None:
    if not NAME.fullmatch(version) or version == ASKED:
        raise ValueError(f"{version!r} is no name of a version")


def _file(of: str) -> str:
    return f"{of}{ENDING}"
