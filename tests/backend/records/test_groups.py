"""Groups of look-alikes: found by a round, or chosen by people."""

from multiprocessing import get_context

import pytest

from backend.records.groups import FOLDER, Group, Groups
from model.storage.documents import DocumentsOnDisk

LIVE, OLDER = "al-2-00000a", "al-1-00000a"


def group(number, *tasks):
    return Group(f"{LIVE}-{number}", tasks, "cat", tuple(0.9 for _ in tasks), "look alike")


CATS, MORE = group(1, 3, 4, 5), group(2, 7, 8)


@pytest.fixture
def groups(documents):
    return Groups(documents)


def names(found):
    return [group.name for group in found]


def test_a_project_without_rounds_has_none(groups):
    assert groups.read(LIVE) == groups.read("") == []


def test_what_a_round_has_found_is_read_as_it_was_written(groups):
    groups.write(LIVE, [CATS, MORE])
    assert groups.read(LIVE) == [CATS, MORE]


def test_a_version_has_its_own_groups_so_a_roll_back_finds_them(groups):
    groups.write(OLDER, [MORE])
    groups.write(LIVE, [CATS])
    assert groups.read(OLDER) == [MORE]


def test_written_again_they_replace_what_was_there(groups):
    groups.write(LIVE, [CATS])
    groups.write(LIVE, [MORE])
    assert groups.read(LIVE) == [MORE]


def test_those_of_people_come_first_whatever_version_is_live_the_newest_before_the_others(groups):
    groups.write(LIVE, [CATS])
    first, second = groups.ask([9, 8], "ann@example.org"), groups.ask([1], "bob@example.org")
    assert groups.read(LIVE) == [second, first, CATS]
    assert groups.read(OLDER) == [second, first]


def test_a_group_of_people_holds_its_tasks_once_in_their_order_and_says_who_chose_them(groups):
    asked = groups.ask([9, 8, 9], "ann@example.org")
    assert (asked.tasks, asked.label, asked.confidences, asked.why) == ((9, 8), "", (), "chosen by ann@example.org")


def test_a_group_of_nothing_is_refused(groups):
    with pytest.raises(ValueError, match="at least one"):
        groups.ask([], "ann")


@pytest.mark.parametrize("chosen", [True, False])
def test_a_group_that_is_let_go_is_gone_and_the_others_stay(groups, chosen):
    groups.write(LIVE, [CATS, MORE])
    asked = groups.ask([9], "ann")
    gone = asked if chosen else CATS
    groups.let_go(gone.name)
    groups.let_go(gone.name)
    assert groups.read(LIVE) == [group for group in (asked, CATS, MORE) if group != gone]


def test_the_groups_of_a_version_that_is_gone_go_with_it(groups):
    groups.write(OLDER, [MORE])
    asked = groups.ask([9], "ann")
    groups.forget(OLDER)
    groups.forget(OLDER)
    assert groups.read(OLDER) == [asked]


def test_another_project_under_the_same_id_begins_without_any(groups):
    groups.write(LIVE, [CATS])
    groups.ask([9], "ann")
    groups.clear()
    assert groups.read(LIVE) == []


@pytest.mark.parametrize("damage", [b"\xff\x00 no json", b'{"name": "x"}', b"[]", b""])
def test_a_damaged_line_costs_itself_alone(groups, documents, damage):
    groups.write(LIVE, [CATS, MORE])
    within = documents.within(FOLDER)
    (name,) = within.names()
    first, second = within.read(name).splitlines()
    within.write(name, first + b"\n" + damage + b"\n" + second + b"\n")
    assert groups.read(LIVE) == [CATS, MORE]
    within.write(name, damage + b"\n" + second[: len(second) // 2])
    assert groups.read(LIVE) == []


@pytest.mark.parametrize("name", ["../state", "", "asked", "a/b", ".lock"])
def test_no_name_reaches_another_file(groups, name):
    asked = groups.ask([9], "ann")
    assert groups.read(name) == [asked]
    for change in (lambda: groups.write(name, [CATS]), lambda: groups.forget(name)):
        with pytest.raises(ValueError, match="no name of a version"):
            change()


def ask_ten(folder):
    for task in range(10):
        Groups(DocumentsOnDisk(folder)).ask([task + 1], "ann")


def test_several_processes_lose_none(tmp_path):
    processes = [get_context("fork").Process(target=ask_ten, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert len(set(names(Groups(DocumentsOnDisk(tmp_path)).read(LIVE)))) == 30
