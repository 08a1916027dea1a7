"""Several choices about an image, <Choices choice="multiple">: a label is the set of classes that are ticked, perhaps none."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.target import ELSEWHERE, EMPTY, MALFORMED, Answer, Target
from backend.labelstudio.task_data import quoted

SURE = 0.5  # the probability from which on a class is ticked beforehand
NONE_OF_THESE = "none of these"
SEVERAL_CHOICES = "An image may be of several classes here: only labels of one class an image can be accepted."


@dataclass(frozen=True)
class Several(Target):
    """A <Choices> control of which several choices, or none, may be ticked.

    empty: whether nothing ticked is an answer, "none of these"; it is not where the control is required. beside: the names of
    the config's other controls: where one of them is answered, this one has been seen too.
    """

    SEVERAL: ClassVar[bool] = True

    empty: bool = True
    beside: tuple[str, ...] = ()

    @property
    def may_be_empty(self) -> bool:
        """See Target."""
        return self.empty

    def as_dict(self) -> dict[str, Any]:
        """See Target. What nothing ticked means is part of it: labels change their meaning with that."""
        return super().as_dict() | {"several": True, "beside": list(self.beside)}

    def guess(self, probabilities: NDArray[np.floating]) -> list[dict[str, Any]]:
        """All classes with a probability of SURE or more, the lowest of which is the region's score; no region for none."""
        ticked = np.flatnonzero(probabilities >= SURE).tolist()
        if not ticked:
            return []
        region = self.region(self.classes[ticked[0]], float(probabilities[ticked].min()))
        region["value"] = {self.KIND: [self.classes[number] for number in ticked]}
        return [region]

    def majority(self, choices: Sequence[str]) -> str | None:
        """The classes that more than half of the sets `choices` hold; None where half of them hold one."""
        votes = Counter(name for choice in choices for name in names_of(choice))
        if any(2 * count == len(choices) for count in votes.values()):
            return None
        return self._label(name for name, count in votes.items() if 2 * count > len(choices))

    def _judge(self, choices: list[str], odd: str, other: str) -> Answer:
        if not choices and odd:
            return Answer(None, MALFORMED, f"the annotation holds {odd} where choices are expected: label the task again")
        if unknown := [name for name in choices if name not in self.classes]:
            return self._unknown(unknown[0])
        if not choices and other and other != self.from_name and other not in self.beside:
            return Answer(
                None,
                ELSEWHERE,
                f"control {quoted(other)} is answered, which the labelling config does not have: give {quoted(self.from_name)} "
                "its old name again, if it was renamed",
            )
        if not choices and not self.empty:
            return Answer(None, EMPTY, "an empty answer, and the control is required: choose what there is to see")
        return Answer(self._label(choices))

    def _label(self, names: Iterable[str]) -> str:
        """A set of classes as text, in the order of the config."""
        chosen = set(names)
        return json.dumps([name for name in self.classes if name in chosen], ensure_ascii=False)


def names_of(label: str) -> list[str]:
    """The classes in a label of several choices, none where it is no such label."""
    try:
        names = json.loads(label)
    except ValueError:
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def shown(label: str, several: bool) -> str:
    """A label as people read it."""
    return ", ".join(names_of(label)) or NONE_OF_THESE if several else label
