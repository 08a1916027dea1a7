"""Copies of what lies in a bucket, on two machines."""

import os
import signal
import subprocess
import sys
import time

import pytest

from model.storage import mirror
from model.storage.bucket import Bucket, StoreUnavailable
from model.storage.mirror import Mirror


@pytest.fixture
def machines(bucket, tmp_path):
    """The same folder of the bucket on two machines: what one sees the other need not have seen."""
    return [Mirror(bucket, tmp_path / name).within("versions") for name in ("here", "there")]


def put(machine, name, content=b"1"):
    path = machine.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    machine.put(name)
    return path


def test_what_one_machine_puts_another_fetches(machines):
    here, there = machines
    put(here, "a/b", b"content")
    assert list(there.listing(age=0).names) == ["a/b"]
    there.fetch(["a/b", "gone"])
    assert (there.folder / "a" / "b").read_bytes() == b"content"
    assert [path.name for path in there.folder.iterdir()] == ["a"]


def test_a_folder_below_and_the_one_above_see_the_same(machines):
    here, there = machines
    put(here.within("a"), "b")
    assert there.has("a/b")
    assert there.within("a").has("b")


def test_what_is_put_here_is_seen_at_once(machines):
    here, _ = machines
    assert not here.listing().names
    put(here, "a")
    assert list(here.listing().names) == ["a"]


def test_a_copy_of_full_length_is_taken_as_it_is_and_gone_with_the_original(machines):
    here, there = machines
    put(here, "a")
    assert there.copy("a").read_bytes() == b"1"
    there.copy("a").write_bytes(b"2")
    assert there.copy("a").read_bytes() == b"2"
    there.copy("a").write_bytes(b"")
    assert there.copy("a").read_bytes() == b"1"
    here.remove("a")
    there.listing(age=0)
    assert there.copy("a") is None


def test_a_damaged_copy_can_be_fetched_again(machines):
    here, _ = machines
    path = put(here, "a")
    path.write_bytes(b"damaged")
    assert here.fetch_again("a")
    assert path.read_bytes() == b"1"
    assert not here.fetch_again("none")


def test_all_of_a_folder_is_removed_here_and_there(machines):
    here, there = machines
    for name in ("a", "b/c"):
        put(here, name)
    here.clear()
    assert not there.listing(age=0).names
    assert not here.folder.exists()


def test_where_the_store_is_away_what_was_seen_is_used_and_what_must_be_sure_is_refused(object_store, tmp_path):
    here = Mirror(Bucket(object_store.new_folder(), patience=1), tmp_path)
    put(here, "a")
    assert here.listing().current
    with object_store.away():
        started = time.monotonic()
        assert here.listing(age=0) == (here.listing().names, False)
        assert list(here.listing(age=0).names) == ["a"]
        assert time.monotonic() - started < 8
    assert here.listing(certain=True).current


def test_a_process_that_has_seen_nothing_says_that_the_store_is_away(object_store, tmp_path, monkeypatch):
    monkeypatch.setattr("model.storage.bucket.TRANSFER_SECONDS", 1)
    here = Mirror(Bucket(object_store.new_folder(), patience=0), tmp_path)
    with object_store.away(), pytest.raises(StoreUnavailable):
        here.listing()


def test_whoever_is_in_a_hurry_is_told_at_once_that_the_store_is_away_and_finds_it_when_it_is_back(object_store, tmp_path):
    bucket = Bucket(object_store.new_folder())
    put(Mirror(bucket, tmp_path), "a")
    (tmp_path / "a").unlink()
    hurried = Mirror(bucket, tmp_path).in_a_hurry()
    with object_store.away():
        for most in (5, 0.5):
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                hurried.within("b").listing()
            assert time.monotonic() - started < most
        with pytest.raises(StoreUnavailable, match="a moment ago"):
            hurried.fetch(["a"])
    time.sleep(mirror.AWAY_SECONDS)
    assert hurried.copy("a").read_bytes() == b"1"


def test_fetching_that_takes_long_says_how_far_it_is(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(mirror, "PROGRESS_SECONDS", 0)
    here = Mirror(bucket, tmp_path / "here")
    names = [f"{number}" for number in range(20)]
    for name in names:
        put(here, name)
    told = []
    there = Mirror(bucket, tmp_path / "there", report=lambda *progress: told.append(progress))
    there.fetch(names)
    there.fetch(names)
    assert told == [(mirror.STEP, done, 20) for done in range(1, 21)]


def test_a_copy_that_is_used_is_younger_than_one_that_is_not_and_keeps_its_time_of_change(machines):
    here, _ = machines
    path = put(here, "a")
    os.utime(path, (1_000_000, 1_000_000))
    here.fetch(["a"])
    assert path.stat().st_atime > time.time() - 60
    assert path.stat().st_mtime == 1_000_000


KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from model.storage import bucket
from model.storage.mirror import Mirror

url, folder, way = sys.argv[1:]
bucket.PART = 1 << 16
here = Mirror(bucket.Bucket(url), Path(folder))

def end():
    if way == "up":
        time.sleep(0.1)
    while way == "down" and not any(path.stat().st_size for path in here.folder.glob(".large.*")):
        pass
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=end).start()
here.put("large") if way == "up" else here.fetch(["large"])
"""


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_file_whose_way_was_cut_short_is_not_there(object_store, tmp_path, way):
    url, content = object_store.new_folder(), os.urandom(32 << 20)
    here, there = (Mirror(Bucket(url), tmp_path / name) for name in ("here", "there"))
    here.folder.mkdir()
    (here.folder / "large").write_bytes(content)
    if way == "down":
        here.put("large")
    folder = here.folder if way == "up" else there.folder
    ended = subprocess.run([sys.executable, "-c", KILLED, url, str(folder), way], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not (there.folder / "large").exists()
    assert there.has("large") == (way == "down")
    here.put("large")
    assert there.copy("large").read_bytes() == content
