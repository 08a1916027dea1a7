"""Child processes that never outlive their parent."""

import ctypes
import signal
from contextlib import suppress

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec another thread of the parent may hold the loader's lock


def die_with_parent(sig: int = signal.SIGKILL) -> None:
    """Ask Linux to send this process `sig` when its parent dies, however it dies; elsewhere nothing happens.

    To be called in the child: as `preexec_fn`, or right after a fork. The parent is the thread that made the child.
    """
    with suppress(AttributeError):
        LIBC.prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0)
