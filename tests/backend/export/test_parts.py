"""The parts of an export by themselves: folders that are taken, names of classes as folders, and cells as text."""

import errno

import pytest

from backend.export.folder import ExportError, check_free, whole_folder
from backend.export.labelled import folder_names
from backend.export.tables import guarded


def made(to, fails=None):
    with whole_folder(to, {}) as folder:
        (folder / "model.json").write_text("{}")
        if fails:
            raise fails


def test_a_folder_appears_whole(tmp_path):
    with whole_folder(tmp_path / "deep" / "to", {}) as folder:
        (folder / "model.json").write_text("{}")
        assert not (tmp_path / "deep" / "to").exists()
    assert sorted(path.name for path in (tmp_path / "deep" / "to").iterdir()) == ["export.json", "model.json"]


def test_one_that_fails_leaves_nothing_and_the_older_one_stays(tmp_path):
    made(tmp_path / "to")
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "to", fails=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "new", fails=KeyboardInterrupt())
    assert [path.name for path in tmp_path.iterdir()] == ["to"]
    assert (tmp_path / "to" / "model.json").exists()


def test_what_is_no_export_is_not_replaced(tmp_path):
    (tmp_path / "to").mkdir()
    check_free(tmp_path / "to")  # an empty folder is no loss
    (tmp_path / "to" / "thesis.txt").write_text("")
    with pytest.raises(ExportError, match="no export of ours: choose another folder with --to"):
        made(tmp_path / "to")
    with pytest.raises(ExportError, match="no export of ours"):
        made(tmp_path / "to" / "thesis.txt")


def test_an_export_that_somebody_has_put_files_into_is_not_replaced(tmp_path):
    made(tmp_path / "to")
    (tmp_path / "to" / "notes.txt").write_text("")
    with pytest.raises(ExportError, match=r"holds notes\.txt, which no export wrote"):
        made(tmp_path / "to")


def test_a_link_is_not_followed(tmp_path):
    made(tmp_path / "real")
    (tmp_path / "to").symlink_to(tmp_path / "real")
    with pytest.raises(ExportError, match="no export of ours"):
        made(tmp_path / "to")


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"cannot be written .*: choose another folder with --to"):
        made(tmp_path / "file" / "to")


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    with pytest.raises(ExportError, match=r"to cannot be written \(No space left on device\)"):
        made(tmp_path / "to", fails=OSError(errno.ENOSPC, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("bees", "bees"), ("Wild bees 2", "Wild bees 2"), ("Käfer", "Käfer"), ("../../etc", "_etc"), ("/", "_"), ("..", "_"),
        ("a\0b", "a_b"), ("", "_"), ("con", "con_"), (" x ", "x"), ("é" * 300, "é" * 60), ("a.b", "a_b"), ("\ud800", "_"),
    ],
)  # fmt: skip
def test_a_class_becomes_a_name_that_leads_nowhere_else(label, name):
    assert folder_names({label}) == {label: name}


def test_classes_that_look_alike_get_folders_of_their_own():
    names = folder_names({"Bee", "bee", "a/b", "a_b"})
    assert len({name.casefold() for name in names.values()}) == 4


@pytest.mark.parametrize("text", ["=1+1", "+49", "-x", "@sum", "\t=1", "\r=1", " =1", "＝1"])
def test_what_a_spreadsheet_would_take_for_a_formula_is_text(text):
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["bees", "/data/upload/1.png", "", "a=b", "1.5"])
def test_other_text_stays_as_it_is(text):
    assert guarded(text) == text


def test_half_a_utf_16_pair_is_escaped():
    assert guarded("\ud800") == "\\ud800"
