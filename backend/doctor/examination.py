"""Looking at one link after the other, and mending what can be mended. A look never takes long, and raises nothing."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from redis.exceptions import RedisError

from backend.doctor.finding import OK, SKIPPED, WARNING, Finding, wrong
from backend.labelstudio.errors import LabelStudioError
from backend.network.transport import request_within

LOOK_SECONDS = 20.0  # that one look may take
FIX_SECONDS = 90.0  # that mending one link may take: a reconcile waits its turn
SILENT_SECONDS = 2.0  # after which it is said what is waited for
Case = TypeVar("Case")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Check(Generic[Case]):
    """A link: its name, the look at it, and the links without which a look means nothing. seconds: the longest it may take."""

    link: str
    look: Callable[[Case], Finding]
    needs: tuple[str, ...] = ()
    seconds: float = LOOK_SECONDS


def examine(
    checks: Sequence[Check[Case]], case: Case, broken: set[str], fix: Callable[[], None] | None, progress: Progress
) -> Iterator[Finding]:
    """What there is to find of each link, in order.

    broken: links that are broken already, to which those that are found so are added. fix: None to change nothing; otherwise
    what can be mended is, and `fix` is called after it, so that what was known before is asked for anew.
    """
    for check in checks:
        cause = next((need for need in check.needs if need in broken), "")
        if cause:
            broken.add(check.link)
            yield Finding(SKIPPED, f"not looked at, since {cause} comes first", link=check.link)
            continue
        found = _look(check, case, progress)
        if fix and found.fix:
            found = _mend(check, case, found, fix, progress)
        if found.state not in (OK, WARNING):
            broken.add(check.link)
        yield replace(found, link=check.link)


def _look(check: Check[Case], case: Case, progress: Progress) -> Finding:
    return _within(check.seconds, lambda: check.look(case), f"looking at {check.link}", progress)


def _mend(check: Check[Case], case: Case, found: Finding, forget: Callable[[], None], progress: Progress) -> Finding:
    """Mend what was found, and look again."""

    def act() -> Finding:
        assert found.fix  # noqa: S101
        found.fix()
        return found

    tried = _within(FIX_SECONDS, act, f"mending {check.link}", progress)
    forget()
    if tried is not found:
        return replace(found, seen=f"{found.seen}. It could not be mended: {tried.seen}")
    again = _look(check, case, progress)
    if again.state == OK:
        return replace(again, seen=f"mended. Before: {found.seen}", mended=True)
    return again


def _within(seconds: float, act: Callable[[], Finding], what: str, progress: Progress) -> Finding:
    """What `act` finds, or that it found nothing: in a thread of its own, since a disk or a name server may hang as well."""
    done: list[Finding] = []

    def run() -> None:
        try:
            with request_within(time.monotonic() + seconds):
                done.append(act())
        except Exception as error:  # noqa: BLE001  whatever a look brings is for people to read, never a traceback
            done.append(_failed(error))

    thread = threading.Thread(target=copy_context().run, args=(run,), daemon=True)
    began = time.monotonic()
    thread.start()
    thread.join(SILENT_SECONDS)
    while thread.is_alive() and (passed := time.monotonic() - began) < seconds + SILENT_SECONDS:
        progress(f"{what} ... {passed:.0f} s")
        thread.join(1)
    if not done:
        return wrong(f"nothing came of {what} within {seconds:.0f} s", "see whether the disk, Redis and the network answer")
    return done[0]


def _failed(error: Exception) -> Finding:
    """What an error says, in words."""
    text = " ".join(str(error).split())
    if isinstance(error, LabelStudioError | RedisError | OSError) or _is_ours(error):
        return wrong(text or type(error).__name__, "")  # such messages hold the next step themselves
    return wrong(
        f"what came was not what it should be ({type(error).__name__}: {text[:200]})",
        "see that LABEL_STUDIO_URL and REDIS_URL are those of Label Studio and of the plugin's Redis",
    )


def _is_ours(error: Exception) -> bool:
    """Whether an error was made for people to read."""
    return type(error).__module__.partition(".")[0] in ("backend", "model", "strategies")
