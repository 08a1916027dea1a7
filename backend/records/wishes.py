"""What people have asked to be done about accepting, in order: a job works it off, also after it was interrupted."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from model.storage.documents import Documents

FILE = "wishes.json"
KEPT = 20  # outcomes
MOST_CHECKS = 5000  # images that one wish asks about
VALIDATE, ACCEPT, TAKE_BACK = "validate", "accept", "take_back"


class Wishes:
    """The wishes of one project, among its `documents`, safe for many processes. A wish is a dict with its "act" and
    "id"; what came of it has "said" besides, and "refused": whether nothing was done."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def waiting(self) -> list[dict[str, Any]]:
        """Those to be worked off, oldest first."""
        return self._read()["waiting"]

    def outcome(self, wish: str = "") -> dict[str, Any] | None:
        """What came of the wish of this id, or of the last one; None where that is not known."""
        done = [entry for entry in self._read()["done"] if not wish or entry["id"] == wish]
        return done[-1] if done else None

    def add(self, act: str, **values: Any) -> str:
        """Wish for something; returns the wish's id. One like one that waits already is that one."""
        new = {"act": act, **values}

        def change(kept: dict[str, list[dict[str, Any]]]) -> str:
            for wish in kept["waiting"]:
                if {name: value for name, value in wish.items() if name != "id"} == new:
                    return str(wish["id"])
            kept["waiting"].append(new | {"id": uuid.uuid4().hex[:8]})
            return str(kept["waiting"][-1]["id"])

        return self._change(change)

    def settle(self, wish: dict[str, Any], said: str, refused: bool) -> None:
        """Take `wish` off, with what came of it."""

        def change(kept: dict[str, list[dict[str, Any]]]) -> str:
            kept["waiting"] = [other for other in kept["waiting"] if other["id"] != wish["id"]]
            kept["done"] = [*kept["done"], wish | {"said": said, "refused": refused, "when": time.time()}][-KEPT:]
            return ""

        self._change(change)

    def clear(self) -> None:
        """Forget everything."""
        self._documents.remove(FILE)

    def _read(self) -> dict[str, list[dict[str, Any]]]:
        found = self._documents.read_json(FILE)
        lists = found if isinstance(found, dict) else {}
        return {
            name: [wish for wish in lists.get(name) or [] if isinstance(wish, dict) and {"act", "id"} <= wish.keys()]
            for name in ("waiting", "done")
        }

    def _change(self, change: Callable[[dict[str, list[dict[str, Any]]]], str]) -> str:
        """Read, change, write, with no other process between; returns what `change` returns."""
        with self._documents.locked(FILE):
            kept = self._read()
            value = change(kept)
            self._documents.write_json(FILE, kept)
            return value
