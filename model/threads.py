"""One thread for linear algebra, while somebody in this process asks for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_lock = threading.RLock()


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # looks through all loaded libraries: once a process


@contextmanager
def one_thread() -> Iterator[None]:
    """Let linear algebra use one thread meanwhile, then as many as before.

    Such limits hold for the process or for a thread, as each library has it. So one thread is in here at a time: two that
    overlap would take each other's limit for what was there before.
    """
    with _lock, _controller().limit(limits=1):
        yield
