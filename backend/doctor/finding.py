"""What a look at one link finds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OK, WARNING, WRONG, SKIPPED = "ok", "warning", "wrong", "skipped"
Fix = Callable[[], object]


@dataclass(frozen=True)
class Finding:
    """state: OK; WARNING, where all works and something had better be otherwise; WRONG; SKIPPED, as an earlier link is broken.

    seen: what was seen, in a sentence; next_step: what to do about it, "" where there is nothing to do, or `seen` says it.
    fix: what mends it, None where nothing here can. link and project say of what this is, project None for what all projects
    share; mended: whether it is so because `fix` was called.
    """

    state: str
    seen: str
    next_step: str = ""
    fix: Fix | None = None
    link: str = ""
    project: int | None = None
    mended: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The finding for scripts."""
        return {
            "project": self.project,
            "link": self.link,
            "state": self.state,
            "seen": self.seen,
            "next_step": self.next_step,
            "fixable": self.fix is not None,
            "mended": self.mended,
        }


def ok(seen: str) -> Finding:
    """All is well."""
    return Finding(OK, seen)


def warning(seen: str, next_step: str, fix: Fix | None = None) -> Finding:
    """All works, and something had better be otherwise."""
    return Finding(WARNING, seen, next_step, fix)


def wrong(seen: str, next_step: str, fix: Fix | None = None) -> Finding:
    """The link is broken."""
    return Finding(WRONG, seen, next_step, fix)
