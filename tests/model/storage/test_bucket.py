import os

import pytest

from model.storage.bucket import Bucket, Changed, StoreUnavailable, Unchanged


def test_an_object_is_written_and_read_with_its_tag(bucket):
    assert bucket.read("a/b.json") is None
    tag = bucket.write("a/b.json", b"1")
    assert bucket.read("a/b.json") == (b"1", tag)


def test_the_tag_of_an_object_is_told_without_reading_it(bucket):
    assert bucket.tag("a") == ""
    assert bucket.tag("a", at_once=True) == ""
    first = bucket.write("a", b"1")
    assert bucket.tag("a", at_once=True) == first
    assert bucket.write("a", b"2") == bucket.tag("a") != first


def test_what_is_known_already_is_not_read_again(bucket):
    tag = bucket.write("a", b"1")
    with pytest.raises(Unchanged):
        bucket.read("a", tag)
    bucket.write("a", b"2")
    assert bucket.read("a", tag).data == b"2"


def test_a_write_by_an_older_state_is_refused(bucket):
    first = bucket.write("a", b"1", expected="")
    with pytest.raises(Changed, match="try again"):
        bucket.write("a", b"2", expected="")
    bucket.write("a", b"3", expected=first)
    with pytest.raises(Changed):
        bucket.write("a", b"4", expected=first)
    assert bucket.read("a").data == b"3"


def test_a_file_goes_up_and_comes_down_whole(bucket, tmp_path):
    content = os.urandom(20 << 20)
    (tmp_path / "up").write_bytes(content)
    bucket.write("shard", tmp_path / "up")
    assert bucket.download("shard", tmp_path / "down" / "shard")
    assert (tmp_path / "down" / "shard").read_bytes() == content
    assert not bucket.download("none", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_objects_and_folders_below_one_are_listed(bucket):
    for name in ("a/1", "a/b/2", "c/3", "4"):
        bucket.write(name, b"12")
    assert {name: found.size for name, found in bucket.objects("a").items()} == {"a/1": 2, "a/b/2": 2}
    assert sorted(bucket.objects()) == ["4", "a/1", "a/b/2", "c/3"]
    assert [bucket.folder(path) for path in ("", "a", "none")] == [(["4"], ["a", "c"]), (["1"], ["b"]), ([], [])]


def test_what_is_removed_is_gone_and_may_be_removed_again(bucket):
    bucket.write("a", b"1")
    bucket.remove("a", "b")
    assert bucket.read("a") is None


@pytest.mark.usefixtures("object_store")
def test_a_bucket_that_is_not_there_is_told_with_the_next_step():
    with pytest.raises(StoreUnavailable, match=r"STORE=s3://no-such-bucket-here/x: .* make it first"):
        Bucket("s3://no-such-bucket-here/x", patience=1).write("a", b"1")


def test_a_credential_that_is_set_to_nothing_is_not_set(object_store, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "")
    Bucket(object_store.new_folder(), patience=1).write("a", b"1")
    assert "AWS_SESSION_TOKEN" not in os.environ


def test_a_fork_of_a_process_that_has_used_it_is_told_so(bucket):
    bucket.write("a", b"1")
    child = os.fork()
    if not child:
        try:
            bucket.read("a")
        except RuntimeError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_a_folder_is_cleared_and_its_neighbours_stay(bucket):
    for name in ("a/1", "a/b/2", "ab/3", "4"):
        bucket.write(name, b"1")
    assert sorted(bucket.clear("a")) == ["a/1", "a/b/2"]
    assert sorted(bucket.objects()) == ["4", "ab/3"]
    assert bucket.clear("a") == []


def test_whoever_does_not_wait_is_told_the_same(bucket):
    assert bucket.read("a", at_once=True) is None
    tag = bucket.write("a", b"1")
    assert bucket.read("a", at_once=True) == (b"1", tag)
    with pytest.raises(Unchanged):
        bucket.read("a", tag, at_once=True)
