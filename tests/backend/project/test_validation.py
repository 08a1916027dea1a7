"""A frozen head as it is kept, what people said of its images, and the wishes that a job works off."""

from contextlib import closing

import numpy as np
import pytest

from backend.index.index import Index
from backend.labelstudio.accepted import Mark
from backend.labelstudio.labelling_config import parse_label_config
from backend.learning.promise import Population
from backend.project.accepting import NotNow, check_target
from backend.project.validation import FILE, FOLDER, Promise, Validation, answered, look
from backend.records.wishes import ACCEPT, TAKE_BACK, VALIDATE, Wishes
from tests.backend.project.made_up import TARGET, annotation, task

TASKS = np.arange(1, 21)
POPULATION = Population(TASKS, TASKS % 3, np.linspace(0.9, 0.99, 20).astype(np.float32))


@pytest.fixture
def validation(documents):
    """That of a project."""
    return Validation(documents)


@pytest.fixture
def frozen(validation):
    """A head whose first five images are asked about."""
    return validation.ask(validation.freeze("al-3-0a0b0c", TARGET.as_dict(), 0.02, POPULATION), 5)


def test_what_is_frozen_is_read_again_in_an_order_of_its_own(frozen, documents):
    again = Validation(documents)
    found = again.candidates(again.read())
    assert again.read() == frozen
    assert sorted(found.tasks.tolist()) == TASKS.tolist() != found.tasks.tolist()
    assert dict(zip(found.tasks.tolist(), found.guesses.tolist(), strict=True)) == {t: t % 3 for t in TASKS.tolist()}
    assert again.asked().tolist() == found.tasks[:5].tolist()


def test_another_ask_goes_on_where_the_last_one_ended_and_ends_with_the_images(validation, frozen):
    first = validation.asked().tolist()
    more = validation.ask(frozen, 4)
    assert validation.asked().tolist()[:5] == first
    assert validation.ask(more, 100).asked == 20


def test_one_wish_asks_once_however_often_it_is_begun(validation, frozen):
    assert validation.ask(validation.ask(frozen, 2, "a"), 2, "a").asked == 7
    assert validation.ask(validation.read(), 2, "b").asked == 9


def test_freezing_anew_draws_others_and_leaves_one_file(validation, frozen, documents):
    before = validation.asked().tolist()
    validation.ask(validation.freeze(frozen.version, frozen.target, 0.02, POPULATION), 5)
    assert validation.asked().tolist() != before
    assert len([name for name in documents.names(FOLDER) if name.endswith(".safetensors")]) == 1


def said(validation, frozen, *answers):
    """What people said, if the first images of the order got these answers: "right", "wrong", "skip" or "open"."""
    population = validation.candidates(frozen)
    still_open, labels = [], {}
    for number, (image, guess) in enumerate(zip(population.tasks.tolist(), population.guesses.tolist(), strict=True)):
        what = answers[number] if number < len(answers) else "open"
        still_open += [image] if what == "open" else []
        labels |= {"right": {image: TARGET.classes[guess]}, "wrong": {image: TARGET.classes[(guess + 1) % 3]}}.get(what, {})
    return answered(frozen, population, np.array(still_open, np.int64), labels)


def test_checks_are_counted_up_to_the_first_that_is_open(validation, frozen):
    found = said(validation, frozen, "right", "wrong", "open", "right", "right", "right")
    assert found.checks.right.tolist() == [True, False]
    assert found.others.right.tolist() == [True, True, True]
    assert found.done == 4


def test_a_check_that_is_neither_open_nor_labelled_counts_as_wrong(validation, frozen):
    assert said(validation, frozen, "right", "skip", "skip", "right").checks.right.tolist() == [True, False, False, True]


def test_a_look_takes_unlabelled_and_accepted_images_for_open_and_all_others_for_done(validation, frozen, tmp_path):
    unlabelled, labelled, skipped, taken, gone, *others = validation.candidates(frozen).tasks.tolist()
    mine = [task(unlabelled), task(labelled, annotation("A")), task(skipped, annotation(was_cancelled=True)), task(taken)]
    with closing(Index(tmp_path / "index.sqlite")) as index:
        index.update([*mine, *map(task, others)], TARGET)
        index.accepted.set_predicted({taken: ("A", Mark(frozen.version, 0.02))})
        found = look(validation, index.tasks)
    assert found.said.done == 3  # of five asked about, the labelled, the skipped and the one that is gone
    assert (len(found.said.checks.tasks), found.said.others.tasks.tolist()) == (0, [labelled, skipped, gone])
    assert found.open_checks == 2


def test_a_damaged_file_is_nothing_frozen(validation, frozen, documents, tmp_path):
    documents.write(f"{FOLDER}/{frozen.arrays}", b"\0" * 40)
    assert not len(validation.asked())
    documents.write(f"{FOLDER}/{FILE}", b"{")
    assert validation.read() is None
    with closing(Index(tmp_path / "index.sqlite")) as index:
        assert look(validation, index.tasks) is None


def test_a_decision_is_about_one_frozen_head_alone(validation, frozen):
    validation.decide(frozen, [3, 4], 0.02, annotate=True)
    assert validation.decided(frozen).tasks == [3, 4]
    assert validation.decided(validation.freeze("al-4-0a0b0c", TARGET.as_dict(), 0.02, POPULATION)) is None


def test_promises_are_kept_until_all_is_forgotten(validation):
    promise = Promise("al-3-0a0b0c", 0.02, 812, 1.0)
    validation.set_promises([promise])
    assert validation.promises() == [promise]
    validation.clear()
    assert validation.promises() == []


def test_labels_of_several_classes_are_refused_and_those_of_a_tree_are_not():
    image = '<Image name="image" value="$image"/>'
    choices = '<Choice value="a"/><Choice value="b"/>'
    several = f'<View>{image}<Choices name="c" toName="image" choice="multiple">{choices}</Choices></View>'
    with pytest.raises(NotNow, match="only labels of one class an image"):
        check_target(parse_label_config(several))
    check_target(parse_label_config(f'<View>{image}<Taxonomy name="c" toName="image">{choices}</Taxonomy></View>'))


def test_wishes_are_worked_off_in_order_and_the_same_twice_is_one(documents):
    wishes = Wishes(documents)
    first = wishes.add(VALIDATE, n=5, error=0.02)
    assert wishes.add(VALIDATE, n=5, error=0.02) == first
    second = wishes.add(ACCEPT, error=0.02)
    assert [wish["id"] for wish in wishes.waiting()] == [first, second]
    wishes.settle(wishes.waiting()[0], "done", refused=False)
    assert [wish["act"] for wish in wishes.waiting()] == [ACCEPT]
    assert wishes.outcome(first)["said"] == "done"
    assert wishes.outcome(second) is None


@pytest.mark.parametrize("content", ["", "[]", '{"waiting": [3, {"act": "accept"}], "done": null}'])
def test_a_damaged_list_of_wishes_is_none(documents, content):
    documents.write("wishes.json", content.encode())
    assert Wishes(documents).waiting() == []
    assert Wishes(documents).add(TAKE_BACK)
