"""The page of groups: which group is shown to whom, and what its buttons do."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.pages.groups.holds import SECONDS, Holds
from backend.pages.groups.keys import LETTERS, codes
from backend.records.groups import Group
from tests.label_studio_in_memory.serving import Person

EVIL = '<script>alert("x")</script>'


def test_a_group_is_labelled_as_the_head_guesses_but_for_what_is_taken_out(labeller, project):
    assert labeller.open() == list(project.first)
    assert 'Take out what is not <strong id="guess">ants</strong>' in labeller.page
    out, *rest = project.first
    assert labeller.label("ants", out) == list(project.second)
    assert project.labels(*rest) == [["ants"], ["ants"]]
    assert project.answers(out) == []
    assert labeller.said == "2 images labelled ants."


def test_another_class_may_be_chosen_for_the_whole_group(labeller, project):
    labeller.open()
    labeller.label("bees")
    assert project.labels(*project.first) == [["bees"]] * 3


def test_what_was_taken_out_comes_next_one_by_one_until_that_is_undone(labeller, project):
    labeller.open()
    labeller.label("ants", project.first[0])
    assert project.session.ahead.tasks().tolist() == [project.first[0]]
    labeller.press("undo")
    assert project.session.ahead.tasks().tolist() == []


@pytest.mark.parametrize("label", ["", "wasps"])
def test_what_is_no_class_is_refused_and_nothing_is_written(labeller, project, label):
    labeller.open()
    labeller.label(label)
    assert "Choose the class" in labeller.page
    assert project.labels(*project.first) == [[], [], []]


def test_what_was_taken_out_is_in_no_group_any_more(labeller, project):
    labeller.open()
    labeller.label("ants", *project.first[1:])
    labeller.label("bees")
    assert labeller.open() == []


def test_two_people_never_get_the_same_images(labeller, another, project):
    assert labeller.open() == list(project.first)
    assert another.open() == list(project.second)
    assert labeller.open() == list(project.first)
    another.label("bees")
    assert another.open() == []
    assert "No group waits" in another.page


def test_a_new_versions_groups_of_the_same_images_are_somebody_elses_still(labeller, another, project):
    labeller.open()
    project.store.write(project.session.state.live, [Group("h-1", project.first + project.second[:2], "ants", (), "new")])
    assert another.open() == list(project.second[:2])


def test_a_page_that_is_left_lets_its_images_go_and_only_its_own(labeller, another, project):
    labeller.open()
    left = {"csrf": labeller.form["csrf"], "shown": labeller.form["shown"]}
    view = labeller.form["view"]
    labeller.open()  # loaded again, which may come before the old page says that it was left
    labeller.browser.http.post(f"{project.path}/leave", data=left | {"view": view})
    assert another.open() == list(project.second)
    labeller.browser.http.post(f"{project.path}/leave", data=left | {"view": labeller.form["view"]})
    assert another.open() == list(project.first)


def test_a_page_holds_its_images_for_minutes_and_longer_where_it_says_that_it_is_open(labeller, another, project, redis):
    labeller.open()
    key = f"al:groups:{project.session.project}:held"
    assert 0 < redis.ttl(key) <= SECONDS

    def age():
        for task, value in redis.hgetall(key).items():
            holder, view, end = value.decode().split(":")
            redis.hset(key, task, f"{holder}:{view}:{int(end) - SECONDS}")

    age()
    labeller.browser.http.post(f"{project.path}/hold", data=labeller.form)
    assert another.open() == list(project.second)
    another.press("skip")
    age()
    assert another.open() == list(project.first)
    assert labeller.label("ants") == list(project.second)
    assert "Left out: 3 (somebody else has it in a group" in labeller.said
    assert project.labels(*project.first) == [[], [], []]


def test_a_skipped_group_is_for_others_until_it_is_asked_for_again(labeller, another, project):
    labeller.open()
    assert labeller.press("skip") == list(project.second)
    assert another.open() == list(project.first)
    another.press("skip")
    assert labeller.press("skip") == []
    assert labeller.press("show_skipped") == list(project.first)


def test_random_slots_are_in_no_group(labeller, project):
    slot = project.slots[0]
    project.store.write(project.session.state.live, [Group("g-1", (slot, *project.first), "ants", (), "")])
    assert labeller.open() == list(project.first)
    labeller.press(
        "label", label="ants", shown=f"{slot} {project.first[0]}", **{f"task:{slot}": "on", f"task:{project.first[0]}": "on"}
    )
    assert project.labels(slot, project.first[0]) == [[], ["ants"]]
    assert "1 (a random slot now" in labeller.said


def test_a_group_shrinks_by_what_was_labelled_meanwhile_and_vanishes_below_two(labeller, project):
    project.studio.label(project.first[0], "ants")
    for task in project.second[:2]:
        project.studio.label(task, "bees")
    project.session.sync()
    assert labeller.open() == list(project.first[1:])
    labeller.label("ants")
    assert "No group waits" in labeller.page
    assert project.studio.url in labeller.page.partition("No group waits")[2]


def test_images_of_another_project_are_neither_labelled_nor_sent_ahead(labeller, project):
    labeller.open()
    foreign = project.studio.add_project(project.studio.projects[project.session.project]["label_config"], ["x.jpg"])
    task = project.studio.task_ids(foreign)[0]
    labeller.press("label", label="ants", shown=str(task), **{f"task:{task}": "on"})
    labeller.press("label", label="ants", shown=str(task))
    assert project.answers(task) == []
    assert project.session.ahead.tasks().tolist() == []


def test_without_a_version_the_page_says_that_nothing_waits(browser, session):
    with session.edit() as state:
        state.live = ""
    assert "No group waits" in browser.get(f"/projects/{session.project}/groups")


def test_texts_of_groups_are_shown_as_text(labeller, project):
    project.store.write(project.session.state.live, [Group(EVIL, project.first, "ants", (), EVIL)])
    labeller.open()
    assert "<script>alert" not in labeller.page
    assert labeller.page.count("&lt;script&gt;alert") == 2


def test_nothing_is_written_without_the_forms_secret_or_from_another_site(labeller, project):
    labeller.open()
    values = labeller.form | {"act": "label", "label": "ants", f"task:{project.first[0]}": "on"}
    assert labeller.browser.http.post(project.path, data=values | {"csrf": "guessed"}).status_code == 403
    other_site = {"Origin": "http://elsewhere.example"}
    assert labeller.browser.http.post(project.path, data=values, headers=other_site).status_code == 403
    assert project.labels(project.first[0]) == [[]]


def test_who_may_not_see_the_project_labels_nothing(open_browser, project):
    assert "Personal access token" in open_browser().get(project.path)
    project.studio.people["a.third.token"] = Person(3, "third@example.com", sees=set())
    browser = open_browser()
    browser.log_in("a.third.token")
    assert browser.send(project.path, act="label", label="ants", shown="1").status_code in (403, 404)


@pytest.mark.parametrize("values", [{}, {"act": "explode"}])
def test_what_no_button_sends_is_refused(labeller, project, values):
    labeller.open()
    assert labeller.browser.send(project.path, **values).status_code == 400


def test_the_pictures_of_the_group_after_are_named_for_the_script_and_nobodys(labeller, another, project):
    labeller.open()
    assert f'data-after="{" ".join(map(str, project.second))}"' in labeller.page
    assert another.open() == list(project.second)


def test_ticked_images_of_the_page_of_look_alikes_become_the_next_group(labeller, another, project):
    page = labeller.browser.get(f"/projects/{project.session.project}/find?task={project.first[0]}")
    assert f'formaction="{project.path}/ask"' in page
    chosen = (*project.second[:2], project.slots[0])
    labeller.browser.send(f"{project.path}/ask", **{f"task:{task}": "on" for task in chosen})
    assert set(labeller.open()) == set(project.second[:2])
    assert "owner@example.com" in labeller.page
    assert 'Take out what is not <strong id="guess">' in labeller.page  # the head's own guess
    another.open()
    assert labeller.label("bees") == []  # the first group is with the other one now
    another.press("skip")
    assert labeller.open() == list(project.first)


def guess(project, task):
    """The class that the head gives a task."""
    session = project.session
    values, _ = session.store.get([session.index.row(task).key])
    return int(session.versions.load(session.state.live).head.probabilities(values)[0].argmax())


def test_many_ticked_images_become_a_group_for_each_class_that_the_head_gives_them(labeller, project, monkeypatch):
    monkeypatch.setattr("backend.pages.groups.page.LARGEST", 2)
    labeller.open()
    chosen = (*project.first, *project.second)
    labeller.browser.send(f"{project.path}/ask", tasks=",".join(map(str, chosen)))
    asked = [group for group in project.store.read(project.session.state.live) if group.name.startswith("asked")]
    assert sorted(task for group in asked for task in group.tasks) == sorted(chosen)
    for group in asked:
        assert len(group.tasks) <= 2
        assert len({guess(project, task) for task in group.tasks}) == 1
    assert labeller.open() == list(asked[0].tasks)


def test_too_many_images_are_refused(labeller, project, monkeypatch):
    monkeypatch.setattr("backend.pages.groups.page.MOST", 3)
    labeller.open()
    assert labeller.browser.send(f"{project.path}/ask", tasks="1,2,3,4").status_code == 400


def test_too_few_images_are_no_group(labeller, project):
    labeller.open()
    values = {f"task:{task}": "on" for task in (project.second[0], project.slots[0])}
    assert labeller.browser.send(f"{project.path}/ask", **values).status_code == 400


def test_a_choice_that_is_given_up_is_gone_for_all(labeller, another, project):
    project.store.ask(project.second, "owner@example.com")
    assert labeller.open() == list(project.second)
    labeller.press("give_up")
    assert "chosen by" not in another.page
    assert not any(group.name.startswith("asked") for group in project.store.read(project.session.state.live))


def test_no_code_of_an_image_begins_another():
    for count in (1, 24, 25, 30, 47, 48, 200):
        found = codes(count)
        assert len(set(found)) == count
        assert not [(a, b) for a in found for b in found if a != b and b.startswith(a)]
        assert set("".join(found)) <= set(LETTERS)


def test_of_many_who_come_at_once_one_gets_the_images(redis, project):
    holds = Holds(redis, project.session.project)
    with ThreadPoolExecutor(8) as people:
        got = list(people.map(lambda person: holds.take([1, 2, 3], person, "a"), range(1, 25)))
    assert sorted(map(len, got)) == [0] * 23 + [3]


def test_holds_end_by_themselves(redis, project):
    holds = Holds(redis, project.session.project)
    assert holds.take([1, 2], 5, "a") == [1, 2]
    assert holds.take([2, 3], 6, "b") == [3]  # too few: nothing is held
    assert holds.free([3], 7) == [3]
    redis.hset(f"al:groups:{project.session.project}:held", 2, "5:a:1")
    assert holds.take([2, 3], 6, "b") == [2, 3]
