"""A DATA_DIR of before is copied into an empty STORE once, whole, and by one machine."""

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from backend.index.index import Index
from backend.project import takeover
from backend.project.shared_index import known_index
from backend.project.sharing import bucket_of, projects_of
from backend.project.takeover import take_over
from backend.queue.redis_server import redis_url
from backend.records.kept import versions_of
from backend.records.state import DataDirError, Projects
from model.backbone_note import BackboneNote, note_file, write_note
from model.backbone_store import kept_embeddings
from model.embeddings.embedding_store import EmbeddingStore
from model.storage.bucket import Bucket
from model.version_store import VersionStore
from tests.conftest import ROOT
from tests.e2e.conftest import wait_until
from tests.model.test_version_store import version

NAME = "al-1-00000a"


@pytest.fixture
def machine(object_store, redis_settings, make_settings, tmp_path):
    """Makes the settings of a machine; all have one STORE."""
    url = object_store.new_folder()
    return lambda name: make_settings(data_dir=tmp_path / name, store=url, redis_url=redis_url(redis_settings))


def fill(data_dir, projects=(1, 2)):
    """What a plugin without STORE leaves in DATA_DIR."""
    before = Projects(data_dir)
    before.prepare()
    before.identity()
    for project in projects:
        folder = before.folder(project)
        with before.edit(project) as state:
            state.connected, state.live, state.strategy = True, NAME, "margin"
        VersionStore(folder / "versions").write(version())
        write_note(note_file(folder, "base"), BackboneNote(width=4))
        EmbeddingStore(folder / "embeddings" / "base", 4).add([1, 2], np.ones((2, 4)))
        before.documents(project).write("groups/asked.jsonl", b"{}\n")
        (folder / "finetune").mkdir()
        (folder / "finetune" / "photo.jpg").write_bytes(b"photo")
        with closing(Index(folder / "index.sqlite")) as index:
            index.set_note("of before", "is here")
    return before


def test_all_that_a_data_dir_holds_is_there_for_another_machine(machine):
    here, there = machine("here"), machine("there")
    before = fill(here.data_dir)
    take_over(here)
    take_over(there)
    projects = projects_of(there)
    assert projects.ids() == [1, 2]
    assert projects.identity() == before.identity()
    assert (projects.read(1).live, projects.read(1).strategy) == (NAME, "margin")
    assert versions_of(projects, 1).load(NAME).labels.tolist() == [0, 1, 0]
    assert kept_embeddings(projects.folder(2), "base", projects.mirror(2)).missing([1, 2, 3]) == [3]
    assert projects.documents(1).read("groups/asked.jsonl") == b"{}\n"
    names = bucket_of(here).objects()
    assert not [name for name in names if "finetune" in name or name.endswith(".sqlite") or "takeover" in name or "/." in name]


def test_what_was_there_stays_as_it_was_and_the_machine_need_not_fetch_it(machine):
    here = machine("here")
    before = fill(here.data_dir)
    kept = {path: path.read_bytes() for path in before.root.rglob("*") if path.is_file()}
    take_over(here)
    assert {path: path.read_bytes() for path in before.root.rglob("*") if path.is_file()} == kept
    projects = projects_of(here)
    assert (projects.folder(1) / "versions" / NAME / "head.safetensors").exists()
    (shard,) = (projects.folder(1) / "embeddings" / "base").glob("*.safetensors")
    versions_of(projects, 1).remove(NAME)
    shard.unlink()
    assert before.folder(1).joinpath("versions", NAME, "head.safetensors").exists()
    assert kept_embeddings(before.folder(1), "base").missing([1]) == []


def test_the_index_comes_along(machine):
    here = machine("here")
    fill(here.data_dir)
    (Projects(here.data_dir).folder(2) / "index.sqlite").unlink()
    take_over(here)
    with closing(Index(projects_of(here).folder(1) / "index.sqlite")) as index:
        assert index.note("of before") == "is here"
    with known_index(projects_of(machine("there")), 1) as index:
        assert index.note("of before") == "is here"
    with known_index(projects_of(machine("there")), 2) as index:
        assert index is None


def test_it_happens_once(machine, caplog):
    here = machine("here")
    before = fill(here.data_dir)
    take_over(here)
    with before.edit(1) as state:
        state.strategy = "changed since, without STORE"
    take_over(here)
    assert projects_of(here).read(1).strategy == "margin"
    assert "holds projects already" not in caplog.text


def test_where_the_store_holds_something_what_a_machine_has_is_left_alone_and_told(machine, caplog):
    here, there = machine("here"), machine("there")
    fill(here.data_dir, [1])
    fill(there.data_dir, [7])
    take_over(here)
    take_over(there)
    assert projects_of(there).ids() == [1]
    assert f"those in DATA_DIR={there.data_dir} (7) are left alone" in caplog.text


def test_an_empty_machine_begins_an_empty_store(machine):
    here = machine("here")
    take_over(here)
    assert list(bucket_of(here).objects()) == ["format.json"]


def test_no_command_begins_the_store_before_what_was_there_is_copied(machine):
    here = machine("here")
    fill(here.data_dir)
    with pytest.raises(DataDirError, match="start `al-backend up` first, which copies them"):
        projects_of(here).prepare()
    assert not bucket_of(here).objects()
    take_over(here)
    projects_of(here).prepare()


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from backend.project import takeover
from backend.settings import Settings
from model.storage.bucket import Bucket

left = int(sys.argv[4])
write = Bucket.write
def write_some(self, name, *more, **how):
    global left
    if name.startswith("projects/"):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return write(self, name, *more, **how)
Bucket.write = write_some
takeover.AT_ONCE = 1
takeover.take_over(Settings(data_dir=Path(sys.argv[1]), store=sys.argv[2], redis_url=sys.argv[3]))
"""


def interrupted(settings, after):
    command = [sys.executable, "-c", INTERRUPTED, str(settings.data_dir), settings.store, settings.redis_url, str(after)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL


def test_one_that_was_interrupted_goes_on_while_another_machine_waits(machine, monkeypatch, caplog):
    caplog.set_level("INFO")
    here, there = machine("here"), machine("there")
    fill(here.data_dir)
    interrupted(here, 5)
    assert not projects_of(here).is_begun()
    assert len([name for name in bucket_of(here).objects() if name.startswith("projects/")]) == 5
    waiting = threading.Thread(target=take_over, args=(there,))
    waiting.start()
    said = "another machine copies its DATA_DIR there, and this one waits"
    wait_until(lambda: said in caplog.text or not waiting.is_alive(), 60)
    assert waiting.is_alive()
    copied, write = [], Bucket.write
    monkeypatch.setattr(
        Bucket, "write", lambda self, name, *more, **how: copied.append(name) or write(self, name, *more, **how)
    )
    take_over(here)
    waiting.join(60)
    assert not waiting.is_alive()
    assert projects_of(there).ids() == [1, 2]
    shards = [name for name in bucket_of(here).objects() if name.endswith(".safetensors")]
    assert 0 < len([name for name in copied if name.endswith(".safetensors")]) < len(shards)


def test_two_processes_of_one_machine_copy_once(machine, monkeypatch):
    here = machine("here")
    fill(here.data_dir)
    copied, copy = [], takeover._copy
    monkeypatch.setattr(takeover, "_copy", lambda *arguments: copied.append(1) or time.sleep(0.5) or copy(*arguments))
    threads = [threading.Thread(target=take_over, args=(here,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert copied == [1]
    assert projects_of(here).ids() == [1, 2]


def test_of_two_machines_that_both_hold_projects_one_is_taken(machine):
    here, there = machine("here"), machine("there")
    fill(here.data_dir, [1])
    fill(there.data_dir, [2])
    threads = [threading.Thread(target=take_over, args=(settings,)) for settings in (here, there)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert projects_of(machine("third")).ids() in ([1], [2])
    assert json.loads(bucket_of(here).read("format.json").data) == {"format": 1}
