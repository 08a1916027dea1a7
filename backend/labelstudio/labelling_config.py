"""What a labelling config asks: the one question this plugin answers is a single choice about an image."""

from dataclasses import asdict, dataclass
from typing import Any
from xml.etree import ElementTree

from backend.labelstudio.task_data import TaskDataError, kind_of, look_up, quoted

UNKNOWN_CLASS, SEVERAL, MALFORMED, EMPTY = "class", "several", "malformed", "empty"  # what is wrong with an answer
LONGEST = 1000  # characters of a choice that are looked at


class LabelConfigError(ValueError):
    """A labelling config this plugin cannot serve; the message says what it needs. Label Studio shows it."""


@dataclass(frozen=True)
class Answer:
    """What one annotation answers: `choice`, one of the classes, or None with the kind of trouble and a remark about it."""

    choice: str | None
    trouble: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Target:
    """A <Choices> control on an <Image>: from_name, to_name, the task's data key that holds the image, and the classes."""

    from_name: str
    to_name: str
    data_key: str
    classes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """What a model version remembers of it; equal dicts mean that the version's head fits."""
        return asdict(self) | {"classes": list(self.classes)}

    def region(self, choice: str, probability: float) -> dict[str, Any]:
        """A pre-annotation: `choice` with the class probability as region score."""
        return {
            "from_name": self.from_name,
            "to_name": self.to_name,
            "type": "choices",
            "value": {"choices": [choice]},
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
        odd = ""
        for region in result or []:
            if not isinstance(region, dict):
                odd = odd or kind_of(region)
            elif region.get("from_name") == self.from_name and region.get("type") == "choices":
                value = region.get("value")
                listed = value.get("choices") if isinstance(value, dict) else value
                for choice in listed if isinstance(listed, list) else [listed]:
                    if isinstance(value, dict) and isinstance(choice, str | int) and not isinstance(choice, bool):
                        choices.add(str(choice)[:LONGEST])
                    else:
                        odd = odd or kind_of(choice)
        return self._judge(sorted(choices), odd)

    def _judge(self, choices: list[str], odd: str) -> Answer:
        if len(choices) > 1:
            return Answer(None, SEVERAL, "several choices for one image: leave one of them")
        if not choices and odd:
            return Answer(None, MALFORMED, f"the annotation holds {odd} where a choice is expected: label the task again")
        if not choices:
            return Answer(None, EMPTY, "an empty answer, nothing is chosen: choose a class, if it was not meant")
        if choices[0] not in self.classes:
            name = quoted(choices[0])
            return Answer(
                None,
                UNKNOWN_CLASS,
                f"{name} is not in the labelling config: add it as a <Choice>, or relabel; if that class was renamed, "
                f'keep its old name as the alias of the new one: <Choice value="..." alias={name}/>',
            )
        return Answer(choices[0])


def parse_label_config(xml: str) -> Target:
    """The first single-choice <Choices> on an <Image> in `xml`. Raises LabelConfigError."""
    try:
        root = ElementTree.fromstring(xml or "")  # noqa: S314  written by the project's own managers; expat bounds expansion
    except ElementTree.ParseError as error:
        raise LabelConfigError(f"The labelling config is not valid XML: {error}.") from error
    images = {tag.get("name"): tag.get("value", "") for tag in root.iter("Image")}
    problems = []
    for control in root.iter("Choices"):
        problem = _problem(control, images)
        if not problem:
            to_name = control.get("toName", "")
            classes = tuple(_value(choice) for choice in control.findall("Choice"))
            return Target(control.get("name", ""), to_name, (images[to_name] or "").lstrip("$"), classes)
        problems.append(f"<Choices name={control.get('name')!r}> {problem}")
    found = "; ".join(problems) or "it has no <Choices>"
    raise LabelConfigError(
        "Active learning needs a single-choice <Choices> on an <Image> in the labelling config, such as "
        '<Image name="image" value="$image"/><Choices name="choice" toName="image" choice="single"><Choice value="A"/>'
        f'<Choice value="B"/></Choices>. Here {found}.'
    )


def _problem(control: ElementTree.Element, images: dict[str | None, str]) -> str | None:
    classes = [_value(choice) for choice in control.findall("Choice")]
    if control.get("toName") not in images:
        return "does not refer to an <Image>"
    if not (images[control.get("toName")] or "").startswith("$"):
        return "refers to an <Image> whose value is no task variable ($image)"
    if control.get("choice", "single") not in ("single", "single-radio"):
        return f'allows several choices (choice="{control.get("choice")}")'
    if control.get("perRegion", "").lower() == "true" or control.get("perItem", "").lower() == "true":
        return "is about regions, not about the whole image"
    if control.findall("Choice/Choice"):
        return "has nested choices"
    if control.get("value") or len(classes) < 2 or "" in classes:
        return "must list at least two <Choice> values in the config itself"
    if len(set(classes)) < len(classes):
        return "lists the same choice twice"
    return None


def _value(choice: ElementTree.Element) -> str:
    return choice.get("alias") or choice.get("value") or ""
