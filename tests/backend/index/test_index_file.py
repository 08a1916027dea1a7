"""The index's file: never deleted where it is only locked, made anew where it is damaged, by whoever meets it."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from backend.index import index_file
from backend.index.index import Index
from backend.index.index_file import IndexLost, IndexUnavailable
from tests.backend.project.made_up import TARGET, damage, task


@pytest.fixture
def path(tmp_path):
    """Where the index lies."""
    return tmp_path / "index.sqlite"


def filled(path, count=50):
    """An index of `count` tasks."""
    index = Index(path)
    index.update([task(n) for n in range(1, count + 1)], TARGET)
    return index


def test_opening_an_index_writes_nothing(path):
    filled(path).close()
    before = {file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in path.parent.iterdir()}
    Index(path).close()
    assert {file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in path.parent.iterdir()} == before


NEWER = {  # what files of older versions lack
    5: ["INDEX tasks_by_state", "INDEX tasks_in_trouble", "INDEX tasks_unreadable", "INDEX tasks_read_in_part"],
    6: ["TABLE snapshot", "TABLE unsent"],
}


@pytest.mark.parametrize("version", NEWER)
def test_a_file_of_a_version_before_is_kept_and_made_one_of_this(path, version):
    filled(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        indexes = "SELECT type, name FROM sqlite_master ORDER BY name"
        mine = old.execute(indexes).fetchall()
        for lacking in (name for other, names in NEWER.items() if other >= version for name in names):
            old.execute(f"DROP {lacking}")
        old.execute(f"PRAGMA user_version = {version}")
    inode = path.stat().st_ino
    with closing(Index(path)) as index:
        assert index.count() == 50
    assert path.stat().st_ino == inode
    with closing(sqlite3.connect(path)) as new:
        assert new.execute(indexes).fetchall() == mine


def test_a_locked_index_is_opened_and_read(path):
    first = filled(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert Index(path).count() == 50
    holder.close()
    first.close()


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE"])
def test_a_lock_that_lasts_is_an_error_that_says_so_and_the_file_stays(path, monkeypatch, lock):
    filled(path).close()
    monkeypatch.setattr(index_file, "WAIT_SECONDS", 0.1)
    inode = path.stat().st_ino
    holder = sqlite3.connect(path, isolation_level=None)
    for statement in lock.split("; "):
        holder.execute(statement)
    holder.execute("DELETE FROM notes")
    with pytest.raises(IndexUnavailable, match="locked by another process"):
        Index(path).set_note("a", "b")
    holder.execute("ROLLBACK")
    holder.close()
    assert path.stat().st_ino == inode
    assert Index(path).count() == 50


@pytest.mark.parametrize(
    "content", [b"this is no database, not even a little" * 100, b"", b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_index_is_replaced(path, content):
    path.write_bytes(content)
    index = filled(path)
    assert index.count() == 50


@pytest.mark.parametrize("version", [1, 99])
def test_a_file_of_another_version_is_replaced(path, version):
    other = sqlite3.connect(path)
    other.executescript(f"CREATE TABLE tasks (something TEXT); PRAGMA user_version = {version}")
    other.close()
    assert filled(path).count() == 50


def test_a_file_of_our_version_without_our_tables_is_replaced(path):
    filled(path).close()
    other = sqlite3.connect(path)
    other.executescript("DROP TABLE tasks")
    other.close()
    index = Index(path)
    with pytest.raises(IndexLost):
        index.count()
    assert index.count() == 0


def test_damage_in_use_is_told_once_and_then_the_index_works_again(path):
    index = filled(path, 500)
    damage(path)
    with pytest.raises(IndexLost, match="damaged"):
        index.rows()
    index.update([task(1)], TARGET)
    assert index.count() == 1


def test_damage_met_while_opening_is_no_error(path):
    filled(path, 500).close()
    damage(path)
    assert Index(path).count() == 0


def test_the_damaged_file_is_set_aside(path):
    filled(path, 500).close()
    damage(path)
    Index(path).close()
    assert path.with_name("index.sqlite.damaged").exists()


def test_others_that_hold_a_replaced_file_are_told_and_go_on_with_the_new_one(path):
    other = filled(path, 500)
    assert other.count() == 500
    path.replace(path.with_name("elsewhere"))
    filled(path, 3).close()
    with pytest.raises(IndexLost, match="replaced"):
        other.rows()
    assert other.count() == 3


def test_a_note_of_an_unreadable_image_is_no_reason_to_stop_where_the_file_was_replaced(path):
    index = filled(path)
    path.unlink()
    index.set_errors({1: "not an image"})
    assert index.count() == 0


def test_of_two_processes_that_meet_the_damage_one_replaces_the_file(path):
    filled(path, 500).close()
    damage(path)
    code = (
        "import sys, pathlib\n"
        "from backend.index.index import Index\n"
        "from backend.index.index_file import IndexLost\n"
        "for attempt in range(5):\n"
        "    try:\n"
        "        index = Index(pathlib.Path(sys.argv[1])); index.rows(); index.set_note(sys.argv[2], 'x'); break\n"
        "    except IndexLost: pass\n"
    )
    root = os.path.dirname(os.path.dirname(index_file.__file__)) + "/.."
    both = [subprocess.Popen([sys.executable, "-c", code, str(path), name], cwd=root) for name in ("one", "two")]
    assert [process.wait(60) for process in both] == [0, 0]
    index = Index(path)
    assert (index.note("one"), index.note("two")) == ("x", "x")


def test_a_transaction_that_fails_leaves_nothing(path):
    index = filled(path)

    def changes():
        yield 1
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError), index._file.writing() as db:
        db.executemany("DELETE FROM tasks WHERE task = ?", ((number,) for number in changes()))
    assert index.count() == 50
    index.set_note("a", "b")
    assert index.note("a") == "b"


def test_a_full_disk_is_told(path):
    index = filled(path)
    with index._file.reading() as db:
        db.execute("PRAGMA max_page_count=20")
    with pytest.raises(IndexUnavailable, match="disk is full"):
        index.update([task(n, image="/" + "x" * 1000) for n in range(1000)], TARGET)
    assert index.count() == 50


def test_a_folder_that_may_not_be_written_is_told(tmp_path):
    (tmp_path / "index.sqlite").mkdir()
    with pytest.raises(IndexUnavailable, match="DATA_DIR"):
        Index(tmp_path / "index.sqlite")
