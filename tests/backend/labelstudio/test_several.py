"""Several choices an image: which sets of classes an answer is, what a majority of sets is, and what is ticked beforehand."""

import json

import numpy as np
import pytest

from backend.index.consensus import LABELLED, TIE, UNLABELLED, UNUSABLE, consensus
from backend.labelstudio.labelling_config import LabelConfigError, parse_label_config
from backend.labelstudio.several import NONE_OF_THESE, names_of, shown
from backend.labelstudio.target import ELSEWHERE, EMPTY, MALFORMED, UNKNOWN_CLASS

IMAGE = '<Image name="img" value="$photo"/>'
PETS = '<Choice value="cat"/><Choice value="dog"/><Choice value="Fish, and more" alias="fish"/>'


def config(more="", beside=""):
    """A config that asks for any of three classes."""
    return f'<View>{IMAGE}<Choices name="pets" toName="img" choice="multiple"{more}>{PETS}</Choices>{beside}</View>'


def ticked(*names, control="pets"):
    """An annotation's result as Label Studio's editor sends it."""
    value = {"choices": list(names)}
    return [{"from_name": control, "to_name": "img", "type": "choices", "value": value}] if names else []


@pytest.fixture
def target():
    return parse_label_config(config())


def test_several_choices_are_told_from_single_ones(target):
    assert target.SEVERAL
    assert target.classes == ("cat", "dog", "fish")
    single = parse_label_config(config().replace(' choice="multiple"', ""))
    assert not single.SEVERAL
    assert single.as_dict() != target.as_dict()
    assert json.loads(json.dumps(target.as_dict())) == target.as_dict()


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (ticked("dog", "cat"), ["cat", "dog"]),
        (ticked("dog") + ticked("cat"), ["cat", "dog"]),
        (ticked("fish"), ["fish"]),
        ([], []),
        (None, []),
    ],
)
def test_an_answer_is_the_set_that_was_ticked_in_the_order_of_the_config(target, result, names):
    answer = target.answer(result)
    assert answer.trouble == ""
    assert names_of(answer.choice) == names


@pytest.mark.parametrize(
    ("result", "trouble"),
    [
        (ticked("dog", "wolf"), UNKNOWN_CLASS),
        (ticked("yes", control="gone"), ELSEWHERE),
        ("dog", MALFORMED),
        ([{"from_name": "pets", "type": "choices", "value": {"choices": [None]}}], MALFORMED),
    ],
)
def test_an_answer_that_is_no_set_of_classes_says_so(target, result, trouble):
    answer = target.answer(result)
    assert (answer.choice, answer.trouble) == (None, trouble)
    assert answer.remark


def test_nothing_ticked_is_an_answer_unless_the_control_is_required(target):
    assert target.may_be_empty
    required = parse_label_config(config(' required="true"'))
    assert not required.may_be_empty
    assert required.answer([]).trouble == EMPTY


def test_nothing_ticked_beside_another_control_that_is_answered_is_an_answer_too():
    beside = '<TextArea name="note" toName="img"/>'
    target = parse_label_config(config(beside=beside))
    assert names_of(target.answer(ticked("well", control="note")).choice) == []


def annotations(*results):
    return [{"result": result} for result in results]


@pytest.mark.parametrize(
    ("results", "names"),
    [
        ([ticked("cat", "dog")], ["cat", "dog"]),
        ([ticked("cat", "dog"), ticked("cat"), ticked("cat", "fish")], ["cat"]),
        ([ticked("cat"), ticked("dog"), ticked("fish")], []),
        ([[], ticked("cat"), []], []),
    ],
)
def test_a_label_holds_the_classes_that_most_annotators_ticked(target, results, names):
    found = consensus(annotations(*results), target)
    assert found.state == LABELLED
    assert names_of(found.label) == names


def test_a_class_over_which_annotators_are_evenly_divided_is_a_tie(target):
    found = consensus(annotations(ticked("cat", "dog"), ticked("cat")), target)
    assert (found.state, found.trouble) == (UNUSABLE, TIE)
    assert consensus(annotations(ticked("cat"), ticked("cat")), target).state == LABELLED
    assert consensus([], target).state == UNLABELLED


@pytest.mark.parametrize(
    ("probabilities", "names", "score"),
    [([0.9, 0.6, 0.2], ["cat", "dog"], 0.6), ([0.1, 0.2, 0.5], ["fish"], 0.5), ([0.4, 0.4, 0.4], None, 0)],
)
def test_every_class_that_is_more_likely_than_not_is_ticked_beforehand(target, probabilities, names, score):
    regions = target.guess(np.array(probabilities, np.float32))
    assert [region["value"] for region in regions] == ([{"choices": names}] if names else [])
    assert [region["score"] for region in regions] == pytest.approx([score] if names else [])
    assert names_of(target.answer(regions).choice) == (names or [])


def test_a_single_choice_of_the_config_is_learned_before_several_ones():
    single = '<Choices name="one" toName="img"><Choice value="A"/><Choice value="B"/></Choices>'
    assert parse_label_config(config(beside=single)).from_name == "one"
    assert parse_label_config(config(beside=single), "pets").SEVERAL


def test_a_single_choice_asked_after_certain_answers_stays_the_question_of_a_project_that_has_learned_it():
    after = 'visibleWhen="choice-selected" whenTagName="pets" whenChoiceValue="dog"'
    single = f'<Choices name="breed" toName="img" {after}><Choice value="A"/><Choice value="B"/></Choices>'
    assert parse_label_config(config(beside=single)).from_name == "breed"


def test_nested_choices_are_refused_here_too():
    with pytest.raises(LabelConfigError, match="nested"):
        parse_label_config(config(' allowNested="true"'))


def test_a_label_is_shown_as_people_read_it():
    assert shown('["cat", "dog"]', several=True) == "cat, dog"
    assert shown("[]", several=True) == NONE_OF_THESE
    assert shown("[]", several=False) == "[]"


@pytest.mark.parametrize("odd", ["cat", "{", "3", '[1, "cat", null]', ""])
def test_what_is_no_label_of_several_choices_holds_no_class_but_those_it_names(odd):
    assert names_of(odd) in ([], ["cat"])
