"""Files that appear whole or not at all."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from model.storage.files import locked, read_json, write_atomically, write_json


def fail_halfway(path):
    path.write_text("half")
    raise OSError("disk full")


def test_a_file_is_written_with_the_folders_it_needs(tmp_path):
    write_atomically(tmp_path / "a" / "b" / "file", lambda beside: beside.write_text("new") and None)
    assert (tmp_path / "a" / "b" / "file").read_text() == "new"


def test_an_older_file_is_replaced(tmp_path):
    (tmp_path / "file").write_text("old")
    write_atomically(tmp_path / "file", lambda beside: beside.write_text("new") and None)
    assert (tmp_path / "file").read_text() == "new"


def test_the_old_file_is_there_until_the_new_one_is_complete(tmp_path):
    path, seen = tmp_path / "file", []
    path.write_text("old")

    def write(beside):
        beside.write_text("half")
        seen.append(path.read_text())

    write_atomically(path, write)
    assert seen == ["old"]


def test_a_writer_that_raises_leaves_the_old_file(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "file", fail_halfway)
    assert (tmp_path / "file").read_text() == "old"


def test_a_writer_that_raises_leaves_nothing_beside(tmp_path):
    with pytest.raises(OSError, match="disk full"):
        write_atomically(tmp_path / "file", fail_halfway)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_succeeds_leaves_nothing_beside(tmp_path):
    write_json(tmp_path / "file", {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "file", lambda _: None)


def test_json_reads_back_as_it_was_written(tmp_path):
    content = {"classes": ["Brot", "Gemüse"], "n": 3, "interval": [0.1, 0.9], "f1": None}
    write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content


def test_what_is_no_json_leaves_the_old_json(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    assert read_json(tmp_path / "a.json") == 1


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00"])
def test_broken_json_reads_as_none(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert read_json(tmp_path / "a.json") is None


def test_an_absent_file_reads_as_none(tmp_path):
    assert read_json(tmp_path / "absent" / "a.json") is None


def test_a_file_below_a_file_reads_as_none(tmp_path):
    (tmp_path / "file").write_text("")
    assert read_json(tmp_path / "file" / "a.json") is None


def test_of_several_that_change_a_file_none_is_lost(tmp_path):
    path = tmp_path / "deep" / "count.json"

    def add(_):
        with locked(path.with_name(".count.lock")):
            write_json(path, (read_json(path) or 0) + 1)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(50)))
    assert read_json(path) == 50
