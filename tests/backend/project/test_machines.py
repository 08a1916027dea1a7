"""What machines that share no disk know of each other's writing: each has a DATA_DIR of its own, and all one store."""

import os
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest

from backend.project.sharing import projects_of
from backend.queue.redis_server import redis_url
from backend.records.ahead import Ahead
from backend.records.doubts import Right
from backend.records.groups import Groups
from backend.records.state import Projects
from backend.records.wishes import Wishes
from model.storage.bucket import Bucket
from model.storage.documents_in_bucket import FRESH_SECONDS, DocumentsInBucket
from tests.conftest import ROOT

EACH = 8
WRITE = f"""
import sys
from backend.records.ahead import Ahead
from backend.records.doubts import Right
from backend.records.groups import Groups
from backend.project.sharing import projects_of
from backend.records.wishes import Wishes
from backend.settings import Settings
projects, first = projects_of(Settings()), int(sys.argv[1])
documents = projects.documents(3)
for task in range(first, first + {EACH}):
    Ahead(documents).send([task], "ann")
    Right(documents).add(task, "ants")
    Groups(documents).ask([task], "ann")
    Wishes(documents).add("validate", n=task)
    with projects.edit(3) as state:
        state.errors[str(task)] = "noted"
"""


@pytest.fixture
def settings(object_store, redis_settings, make_settings):
    """Those of one machine."""
    return make_settings(store=object_store.new_folder(), redis_url=redis_url(redis_settings))


def test_four_machines_that_write_at_once_lose_nothing(settings, tmp_path):
    values = {"STORE": settings.store, "REDIS_URL": settings.redis_url}
    machines = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, str(100 * number)],
            cwd=ROOT,
            env=os.environ | values | {"DATA_DIR": str(tmp_path / str(number))},
        )
        for number in range(4)
    ]
    assert [machine.wait(120) for machine in machines] == [0] * 4
    written = [100 * number + n for number in range(4) for n in range(EACH)]
    projects = projects_of(settings)
    documents = projects.documents(3)
    assert sorted(Ahead(documents).tasks().tolist()) == written
    assert sorted(Right(documents).labels()) == written
    assert sorted(group.tasks[0] for group in Groups(documents).read("")) == written
    assert sorted(wish["n"] for wish in Wishes(documents).waiting()) == written
    assert sorted(map(int, projects.read(3).errors)) == written
    assert projects.ids() == [3]


def test_what_is_forgotten_on_one_machine_is_gone_on_the_other(settings, tmp_path):
    mine = projects_of(settings)
    theirs = Projects(tmp_path / "theirs", DocumentsInBucket(Bucket(settings.store), lambda _: nullcontext()))
    with mine.edit(3) as state:
        state.connected = True
    with mine.edit(33) as state:
        state.connected = True
    Groups(mine.documents(3)).ask([1], "ann")
    assert theirs.read(3).connected
    mine.forget(3)
    time.sleep(FRESH_SECONDS)
    assert (theirs.ids(), theirs.read(3).connected, Groups(theirs.documents(3)).read("")) == ([33], False, [])
