"""What the annotations of one task amount to: one label, or the reason why there is none."""

from dataclasses import dataclass
from typing import Any

from backend.labelstudio.accepted import accepted_mark
from backend.labelstudio.target import BRANCH, ELSEWHERE, EMPTY, MALFORMED, SEVERAL, UNKNOWN_CLASS, Answer, Target

UNLABELLED, LABELLED, SKIPPED, UNUSABLE = "unlabelled", "labelled", "skipped", "unusable"
ACCEPTED = "accepted"  # labelled by the model alone (`accepted.py`): for what people said, such a task is unlabelled
TIE = "tie"
GRAVEST_FIRST = (UNKNOWN_CLASS, SEVERAL, MALFORMED, BRANCH, ELSEWHERE, EMPTY)  # of several reasons, the one that is told
TIED = "annotators disagree, no class has most votes: one person more is asked, or mark one annotation as ground truth"


@dataclass(frozen=True)
class Consensus:
    """state: one of UNLABELLED, LABELLED, SKIPPED, UNUSABLE; label: the class of a labelled task, or its set of them as text.

    trouble, remark: of an unusable one the kind of what is wrong (one of the labelling config's, or TIE) and the sentence.
    """

    state: str
    label: str | None = None
    trouble: str = ""
    remark: str = ""


def consensus(annotations: Any, target: Target) -> Consensus:
    """What a task's `annotations` say about `target`: ground truth first, then the majority; a tie gives no label.

    An answer that cannot be used takes the task out of the queue without a label, as a tie does; a task with nothing but
    skips is "skipped". Takes anything that JSON can hold: other tools write annotations too.
    """
    listed = annotations_of(annotations)
    given = [a for a in listed if not (isinstance(a, dict) and is_true(a.get("was_cancelled")))]
    if not given:
        return Consensus(SKIPPED if listed else UNLABELLED)
    truths = [a for a in given if isinstance(a, dict) and is_true(a.get("ground_truth"))]
    answers = [answered(a, target) for a in truths or given]
    choices = [answer.choice for answer in answers if answer.choice is not None]
    if not choices:
        told = min(answers, key=lambda answer: GRAVEST_FIRST.index(answer.trouble))
        return Consensus(UNUSABLE, None, told.trouble, told.remark)
    if (label := target.majority(choices)) is None:
        return Consensus(UNUSABLE, None, TIE, TIED)
    return Consensus(LABELLED, label)


def annotations_of(annotations: Any) -> list[Any]:
    """A task's annotations by people, as Label Studio lists them: those that were accepted from the model are none."""
    return [annotation for annotation in listed_of(annotations) if not accepted_mark(annotation)]


def listed_of(annotations: Any) -> list[Any]:
    """A task's annotations as Label Studio lists them, whoever made them; one alone may stand for a list."""
    return annotations if isinstance(annotations, list) else [annotations] if annotations else []


def answered(annotation: Any, target: Target) -> Answer:
    """What one annotation answers; anything that JSON can hold is taken."""
    if not isinstance(annotation, dict):
        return Answer(None, MALFORMED, "the annotation is no JSON object: delete it, and label the task again")
    return target.answer(annotation.get("result"))


def is_true(value: Any) -> bool:
    """Whether a flag is set; other tools write flags as numbers and as text."""
    return value in ("true", "True", "1", "yes") if isinstance(value, str) else value is True or value == 1
