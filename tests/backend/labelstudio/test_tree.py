"""Trees of classes, <Taxonomy>: which leaves are the classes, what an answer means, and where a guess stops."""

import numpy as np
import pytest

from backend.labelstudio.labelling_config import LabelConfigError, parse_label_config
from backend.labelstudio.target import BRANCH, EMPTY, MALFORMED, SEVERAL, UNKNOWN_CLASS

IMAGE = '<Image name="img" value="$photo"/>'
FOOD = (
    '<Choice value="Food"><Choice value="Bread"/><Choice value="Meat"><Choice value="Beef"/><Choice value="Pork"/></Choice>'
    '</Choice><Choice value="Other" alias="other"/>'
)


def config(inside=FOOD, **attributes):
    """A config that asks for one of a tree."""
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<View>{IMAGE}<Taxonomy name="kind" toName="img"{more}>{inside}</Taxonomy></View>'


def chosen(*paths, **about):
    """An annotation's result as Label Studio's editor sends it."""
    return [{"from_name": "kind", "to_name": "img", "type": "taxonomy", "value": {"taxonomy": list(paths)}} | about]


@pytest.fixture
def tree():
    return parse_label_config(config())


def test_the_leaves_are_the_classes_named_by_their_paths_and_aliases(tree):
    assert tree.classes == ("Food / Bread", "Food / Meat / Beef", "Food / Meat / Pork", "other")


def test_the_config_says_what_stands_between_the_names_of_a_path():
    assert parse_label_config(config(pathSeparator="|")).classes[1] == "Food|Meat|Beef"


def test_a_versions_head_fits_whatever_the_editor_takes(tree):
    assert parse_label_config(config(leafsOnly="true")).as_dict() == tree.as_dict()
    assert parse_label_config(config(pathSeparator="|")).as_dict() != tree.as_dict()


@pytest.mark.parametrize(
    ("result", "choice", "trouble"),
    [
        (chosen(["Food", "Bread"]), "Food / Bread", ""),
        (chosen(["other"]), "other", ""),
        (chosen(["Food", "Meat", "Beef"], type=None), "Food / Meat / Beef", ""),
        (chosen(["Food"], ["Food", "Meat"], ["Food", "Meat", "Pork"]), "Food / Meat / Pork", ""),
        (chosen(["Food", "Meat"]), None, BRANCH),
        (chosen(["Food", "Bread"], ["other"]), None, SEVERAL),
        (chosen(["Food", "Fish"]), None, UNKNOWN_CLASS),
        (chosen(["Bread"]), None, UNKNOWN_CLASS),
        (chosen(), None, EMPTY),
        (chosen([]), None, MALFORMED),
        (chosen([["Food", "Bread"]]), None, MALFORMED),
        (chosen(["Food", None]), None, MALFORMED),
    ],
)
def test_an_answer_is_the_leaf_that_was_ticked(tree, result, choice, trouble):
    answer = tree.answer(result)
    assert (answer.choice, answer.trouble) == (choice, trouble)


def test_an_answer_at_a_branch_says_what_is_missing(tree):
    assert tree.answer(chosen(["Food", "Meat"])).remark == (
        "the answer stops at 'Food / Meat', which has classes below it: choose one of these as well"
    )


@pytest.mark.parametrize(
    ("probabilities", "path", "score"),
    [
        ([0.6, 0.2, 0.1, 0.1], ["Food", "Bread"], 0.6),
        ([0.2, 0.3, 0.3, 0.2], ["Food", "Meat"], 0.6),
        ([0.25, 0.2, 0.2, 0.35], ["Food"], 0.65),
        ([0.2, 0.14, 0.14, 0.52], ["other"], 0.52),
    ],
)
def test_a_guess_is_a_leaf_that_is_sure_or_else_the_lowest_branch_that_is(tree, probabilities, path, score):
    (region,) = tree.guess(np.array(probabilities, np.float32))
    assert region["value"] == {"taxonomy": [path]}
    assert region["type"] == "taxonomy"
    assert region["score"] == pytest.approx(score, abs=1e-5)


def test_where_neither_is_sure_the_guess_is_the_best_leaf():
    tree = parse_label_config(config("".join(f'<Choice value="{n}"/>' for n in "ABC")))
    assert tree.guess(np.array([0.3, 0.4, 0.3]))[0]["value"] == {"taxonomy": [["B"]]}


@pytest.mark.parametrize("attributes", [{"leafsOnly": "true"}, {"maxUsages": "1"}])
def test_a_guess_stops_at_no_branch_where_a_leaf_could_not_be_ticked_beside_it(attributes):
    tree = parse_label_config(config(**attributes))
    assert tree.guess(np.array([0.2, 0.35, 0.25, 0.2]))[0]["value"] == {"taxonomy": [["Food", "Meat", "Beef"]]}


def test_each_class_is_read_as_it_is_published(tree):
    assert [tree.answer([tree.region(name, 0.5)]).choice for name in tree.classes] == list(tree.classes)


@pytest.mark.parametrize(
    ("xml", "says"),
    [
        (config(apiUrl="https://h/tree.json"), "apiUrl='https://h/tree.json'"),
        (config("", value="$tree"), "takes its classes from elsewhere"),
        (config(maxUsages="3"), "allows several classes"),
        (config(perRegion="true"), "about regions"),
        (config(labeling="true"), "about regions"),
        (config('<Choice value="A"><Choice value="B"/></Choice>'), "at least two <Choice> leaves"),
        (config('<Choice value="A"/><Choice value="A"/>'), "same choice twice"),
        (config('<Choice value="A"/><Choice value="A" alias="B"/>'), "same choice twice"),
        (config('<Choice value="A"/><Choice value="B / C"/>'), "cuts paths: 'B / C'"),
        (config('<Choice value="A"/><Choice/>'), "without a value"),
        (config('<Choice value="A"/><Choice value="$b"/>'), "taken from each task's data"),
        (config(pathSeparator=""), "empty pathSeparator"),
        (config('<Choice value="A">' * 60 + "</Choice>" * 60 + '<Choice value="B"/>'), "more than 50 deep"),
    ],
)
def test_a_tree_that_cannot_be_learned_says_why(xml, says):
    with pytest.raises(LabelConfigError, match=says):
        parse_label_config(xml)


def test_the_same_name_may_stand_in_two_branches():
    inside = '<Choice value="A"><Choice value="x"/></Choice><Choice value="B"><Choice value="x"/></Choice>'
    assert parse_label_config(config(inside)).classes == ("A / x", "B / x")


def test_choices_come_before_a_tree_as_they_did_when_trees_could_not_be_learned():
    choices = '<Choices name="c" toName="img"><Choice value="A"/><Choice value="B"/></Choices></View>'
    xml = config().replace("</View>", choices)
    assert parse_label_config(xml).from_name == "c"
    assert parse_label_config(xml, "kind").classes[0] == "Food / Bread"
