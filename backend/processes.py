"""Processes: children that never outlive their parent and that give way to others, and whether one runs."""

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec another thread of the parent may hold the loader's lock


def die_with_parent(sig: int = signal.SIGKILL) -> None:
    """Ask Linux to send this process `sig` when its parent dies, however it dies; elsewhere nothing happens.

    To be called in the child: as `preexec_fn`, or right after a fork. The parent is the thread that made the child.
    """
    with suppress(AttributeError):
        LIBC.prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0)


def session_gives_way(by: int) -> None:
    """Let the processes of other sessions have the processor before those of this one: a niceness of `by`, from 1 to 19.

    Linux shares processors out to sessions first (autogroup, as most distributions have it), so that the niceness of a process
    counts only within its session. Nothing happens where there is no such thing, or where this process does not lead its
    session: then that is somebody's terminal.
    """
    if os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(by))


def runs(pid: int) -> bool:
    """Whether a process of this number runs on this machine, whosever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
