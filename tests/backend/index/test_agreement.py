"""Each annotator's agreement with all the others, and what they disagree about."""

from backend.index.agreement import agreement
from backend.index.answers import Answer

CLASSES = ["A", "B", "C"]
ANN, BEN, CLEO = 1, 2, 3


def said(task, person, choice, made="2026-11-26T08:00:00Z", **more):
    """An answer of somebody."""
    values = {"truth": False, "skipped": False, "seconds": None} | more
    return Answer(task, person, choice, made=made, **values)


def of(found, person):
    """What was found of one person."""
    return next(one for one in found.annotators if one.person == person)


def test_an_annotator_is_compared_with_what_the_others_say_and_not_with_themselves():
    found = agreement([said(1, ANN, "A"), said(1, BEN, "B"), said(1, CLEO, "B")], CLASSES)
    assert [(of(found, who).compared, of(found, who).agreed) for who in (ANN, BEN, CLEO)] == [(1, 0), (0, 0), (0, 0)]


def test_two_annotators_are_compared_with_each_other():
    answers = [said(task, who, "A") for task in (1, 2, 3) for who in (ANN, BEN)] + [said(4, ANN, "A"), said(4, BEN, "B")]
    found = agreement(answers, CLASSES)
    assert (of(found, ANN).compared, of(found, ANN).agreed) == (4, 3)
    low, high = of(found, ANN).interval
    assert 0.2 < low < 0.75 < high < 1
    assert found.alpha
    assert found.alpha.units == 4


def test_ground_truth_of_somebody_else_decides():
    found = agreement([said(1, ANN, "A"), said(1, BEN, "A"), said(1, CLEO, "B", truth=True)], CLASSES)
    assert (of(found, ANN).compared, of(found, ANN).agreed) == (1, 0)


def test_what_only_one_has_answered_compares_nobody():
    found = agreement([said(1, ANN, "A"), said(2, BEN, "B")], CLASSES)
    assert found.alpha is None
    assert of(found, ANN).interval is None
    assert found.disagreements == {}


def test_labels_skips_and_seconds_are_counted():
    found = agreement([said(1, ANN, "A", seconds=1.0), said(2, ANN, "B", seconds=9.0), said(3, ANN, "A", seconds=2.0)], CLASSES)
    assert (of(found, ANN).labels, of(found, ANN).seconds) == (3, 2.0)
    found = agreement([said(1, ANN, None, skipped=True)], CLASSES)
    assert (of(found, ANN).labels, of(found, ANN).skips) == (0, 1)


def test_of_several_answers_by_one_person_the_last_counts():
    answers = [said(1, ANN, "B", "2026-11-26T09:00:00Z"), said(1, ANN, "A", "2026-11-26T08:00:00Z"), said(1, BEN, "B")]
    found = agreement(answers, CLASSES)
    assert (of(found, ANN).labels, of(found, ANN).agreed) == (1, 1)
    assert found.disagreements == {}


def test_disagreements_are_told_with_who_said_what():
    found = agreement([said(1, ANN, "A"), said(1, BEN, "B"), said(2, ANN, "A"), said(2, BEN, "A")], CLASSES)
    assert {task: {(a.person, a.choice) for a in given} for task, given in found.disagreements.items()} == {
        1: {(ANN, "A"), (BEN, "B")}
    }


def test_an_answer_that_names_no_class_of_today_is_counted_and_compares_nothing():
    found = agreement([said(1, ANN, None), said(1, BEN, "A"), said(2, ANN, "old"), said(2, BEN, "A")], CLASSES)
    assert (of(found, ANN).labels, of(found, ANN).compared) == (2, 0)
    assert found.disagreements == {}


def test_annotations_of_nobody_known_are_people_of_their_own():
    found = agreement([said(1, None, "A"), said(1, None, "A"), said(1, ANN, "A")], CLASSES)
    assert of(found, None).labels == 2
    assert (of(found, ANN).compared, of(found, ANN).agreed) == (1, 1)


def test_nothing_answered_is_no_fault():
    found = agreement([], CLASSES)
    assert (found.alpha, found.annotators, found.disagreements) == (None, [], {})
