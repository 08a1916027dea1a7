"""Processes: children that never outlive their parent and that give way to others, and whether one runs."""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
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


def end() -> NoReturn:
    """End this process, well, without having Python take apart what it has imported. With torch that is a quarter of a second
    of a processor, for which a process that gives way waits longer on a busy machine than whoever stops it does."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class Lost(OSError):
    """A process that was to do something ended without a word, or took too long."""


def apart(function: Callable[..., T], *arguments: Any, seconds: float | None = None) -> T:
    """What `function` returns in a process of its own, a fork of this one, so that what it starts is gone afterwards, such as
    threads of a library that do not survive a fork. Raises what it raises, and Lost where it dies or takes longer than
    `seconds`."""
    context = get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(sender, function, arguments), daemon=True)
    process.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise Lost(f"{function.__name__} was given up after {seconds:g} s")
        error, value = receiver.recv()
    except EOFError:
        raise Lost(f"{function.__name__} was ended by something else") from None
    finally:
        process.kill()
        process.join()
        receiver.close()
    if error:
        raise error
    result: T = value
    return result


def _tell(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    die_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        sender.send((None, function(*arguments)))
    except Exception as error:  # noqa: BLE001  whatever it is: the caller gets it
        sender.send((error, None))
