"""What is learned of a labelling config, and what an annotation answers to it. Trees of classes stand in `tree.py`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.task_data import TaskDataError, kind_of, look_up, quoted

# what is wrong with an answer
UNKNOWN_CLASS, SEVERAL, MALFORMED, ELSEWHERE, EMPTY, BRANCH = "class", "several", "malformed", "elsewhere", "empty", "branch"


@dataclass(frozen=True)
class Answer:
    """What one annotation answers: `choice`, one of the classes or, as text, a set of them (`Several`); or None with the kind
    of trouble and a remark about it."""

    choice: str | None
    trouble: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Target:
    """A <Choices> control on an <Image>: from_name, to_name, the task's data key that holds the image, and the classes.

    KIND: the type of its regions, and the key of their values; SEVERAL: whether an image may be of several classes or of none.
    """

    KIND: ClassVar[str] = "choices"
    SEVERAL: ClassVar[bool] = False

    from_name: str
    to_name: str
    data_key: str
    classes: tuple[str, ...]

    @property
    def may_be_empty(self) -> bool:
        """Whether nothing chosen is an answer."""
        return False

    def as_dict(self) -> dict[str, Any]:
        """What a model version remembers of it; equal dicts mean that the version's head fits."""
        return asdict(self) | {"classes": list(self.classes)}

    def guess(self, probabilities: NDArray[np.floating]) -> list[dict[str, Any]]:
        """The pre-annotation that class probabilities of shape (C,) lead to, as regions."""
        best = int(probabilities.argmax())
        return [self.region(self.classes[best], float(probabilities[best]))]

    def region(self, choice: str, probability: float) -> dict[str, Any]:
        """A pre-annotation: `choice` with the class probability as region score."""
        return {
            "from_name": self.from_name,
            "to_name": self.to_name,
            "type": self.KIND,
            "value": {self.KIND: [self._stored(choice)]},
            "score": round(probability, 6),
        }

    def reference(self, data: Any) -> str:
        """The image's address in a task's `data`, "" where there is none. Raises TaskDataError, which says what is there."""
        found = look_up(data, self.data_key)
        if found is None or found == "":
            return ""
        if not isinstance(found, str):
            raise TaskDataError(f"the task's data hold {kind_of(found)} under {quoted(self.data_key)}, not an image's address")
        return found

    def answer(self, result: Any) -> Answer:
        """What an annotation's `result` answers; anything that JSON can hold is taken."""
        if result is not None and not isinstance(result, list):
            return Answer(None, MALFORMED, f"the annotation's result is {kind_of(result)}: delete it, and label the task again")
        choices: set[str] = set()
        odd, other = "", ""
        for region in result or []:
            if not isinstance(region, dict):
                odd = odd or kind_of(region)
            elif region.get("from_name") == self.from_name and region.get("type") in (self.KIND, None):
                value = region.get("value")
                listed = value.get(self.KIND) if isinstance(value, dict) else value
                for stored in listed if isinstance(listed, list) else [listed]:
                    choice = self._named(stored) if isinstance(value, dict) else None
                    if choice is not None:
                        choices.add(choice)
                    else:
                        odd = odd or kind_of(stored)
            elif isinstance(name := region.get("from_name"), str):
                other = other or name
        return self._judge(self._meant(choices), odd, other)

    def majority(self, choices: Sequence[str]) -> str | None:
        """What most of the answers `choices`, at least one, say; None for a tie."""
        votes = Counter(choices).most_common(2)
        return None if len(votes) == 2 and votes[0][1] == votes[1][1] else votes[0][0]

    def _stored(self, choice: str) -> Any:
        """What Label Studio stores for a class."""
        return choice

    def _named(self, stored: Any) -> str | None:
        """The class that Label Studio stores so; None for what is none."""
        return str(stored) if isinstance(stored, str | int) and not isinstance(stored, bool) else None

    def _meant(self, choices: set[str]) -> list[str]:
        """Those of the chosen that say something, sorted."""
        return sorted(choices)

    def _judge(self, choices: list[str], odd: str, other: str) -> Answer:
        if len(choices) > 1:
            return Answer(None, SEVERAL, "several choices for one image: leave one of them")
        if not choices and odd:
            return Answer(None, MALFORMED, f"the annotation holds {odd} where a choice is expected: label the task again")
        if not choices and other and other != self.from_name:
            return Answer(
                None,
                ELSEWHERE,
                f"control {quoted(other)} is answered, {quoted(self.from_name)} is not: choose a class, or give the "
                "control its old name again, if it was renamed",
            )
        if not choices:
            return Answer(None, EMPTY, "an empty answer, nothing is chosen: choose a class, if it was not meant")
        if choices[0] not in self.classes:
            return self._unknown(choices[0])
        return Answer(choices[0])

    def _unknown(self, choice: str) -> Answer:
        """The answer that is `choice`, which is no class."""
        name = quoted(choice)
        return Answer(
            None,
            UNKNOWN_CLASS,
            f"{name} is not in the labelling config: add it as a <Choice>, or relabel; if that class was renamed, "
            f'keep its old name as the alias of the new one: <Choice value="..." alias={name}/>',
        )
