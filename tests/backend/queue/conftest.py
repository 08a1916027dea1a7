"""A kind of work for the tests of workers."""

import pytest

from backend.queue.work import KINDS, TRAIN, Kind


@pytest.fixture
def kind_of_naps(monkeypatch):
    """Makes `nap` a kind of work whose jobs run a function of tests.backend.queue.naps."""

    def register(function, extra=()):
        name = f"tests.backend.queue.naps.{function}"
        monkeypatch.setitem(KINDS, "nap", Kind(TRAIN, name, "publish", 60, again=(1, 1), extra=extra))

    return register
