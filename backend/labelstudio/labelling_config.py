"""What a labelling config asks: the one question this plugin answers is a single choice about an image."""

import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any
from xml.etree import ElementTree

from backend.labelstudio.task_data import SHORT, TaskDataError, kind_of, look_up, quoted

# what is wrong with an answer
UNKNOWN_CLASS, SEVERAL, MALFORMED, ELSEWHERE, EMPTY = "class", "several", "malformed", "elsewhere", "empty"
NAMED = 8  # controls that a message names
LONGEST_CONFIG = 2_000_000  # characters
OTHERS = {
    "Taxonomy": "is a tree of classes, which cannot be learned yet",
    "choices": "is written in small letters, which Label Studio takes for no <Choices> where it stores predictions",
}
VARIABLE = re.compile(r"\$[\w\[\].{}]+", re.ASCII)  # what Label Studio's editor replaces by a task's data
ADVICE = (
    "Active learning needs a single-choice <Choices> on an <Image> in the labelling config, such as "
    '<Image name="image" value="$image"/><Choices name="choice" toName="image" choice="single"><Choice value="A"/>'
    '<Choice value="B"/></Choices>.'
)


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
        odd, other = "", ""
        for region in result or []:
            if not isinstance(region, dict):
                odd = odd or kind_of(region)
            elif region.get("from_name") == self.from_name and region.get("type") in ("choices", None):
                value = region.get("value")
                listed = value.get("choices") if isinstance(value, dict) else value
                for choice in listed if isinstance(listed, list) else [listed]:
                    if isinstance(value, dict) and isinstance(choice, str | int) and not isinstance(choice, bool):
                        choices.add(str(choice))
                    else:
                        odd = odd or kind_of(choice)
            elif isinstance(name := region.get("from_name"), str):
                other = other or name
        return self._judge(sorted(choices), odd, other)

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
            name = quoted(choices[0])
            return Answer(
                None,
                UNKNOWN_CLASS,
                f"{name} is not in the labelling config: add it as a <Choice>, or relabel; if that class was renamed, "
                f'keep its old name as the alias of the new one: <Choice value="..." alias={name}/>',
            )
        return Answer(choices[0])


@dataclass(frozen=True)
class Control:
    """One control of a labelling config. problem: why it cannot be learned, "" where it can; required: whether Label Studio
    refuses an answer without it; conditional: whether it is asked only after certain answers to another control."""

    name: str
    tag: str
    problem: str
    required: bool
    conditional: bool = False

    def __str__(self) -> str:
        return f"<{self.tag} name={quoted(self.name)}>" + (f" {self.problem}" if self.problem else "")


@dataclass(frozen=True)
class LabelConfig:
    """A labelling config that can be served: the control that is learned, what it asks, and the controls beside it."""

    control: Control
    target: Target
    others: tuple[Control, ...]


def parse_label_config(xml: Any, control: str = "") -> Target:
    """What the control that is learned asks; see `read_label_config`. Raises LabelConfigError."""
    return read_label_config(xml, control).target


def read_label_config(xml: Any, control: str = "") -> LabelConfig:
    """The labelling config `xml`, and in it the control of that name, "" for the first one that can be learned.

    One that is asked of every image comes before one that is asked only after certain answers. Takes anything that JSON can
    hold; raises LabelConfigError and nothing else.
    """
    tree = _parse(xml)
    images = {image.get("name"): image for image in tree.images}
    controls = [(element, _describe(element, contexts, images)) for element, contexts in tree.controls]
    asked = [found for found in controls if not control or found[1].name == control]
    if not asked and control:
        there = _listed([found for _, found in controls]) or "none"
        raise LabelConfigError(f"The labelling config has no control named {quoted(control)}. There are: {there}.")
    usable = sorted((found for found in asked if not found[1].problem), key=lambda found: found[1].conditional)
    if not usable:
        choices = [found for _, found in asked if found.tag == "Choices" or control]
        rest = _listed([found for _, found in asked])
        missing = "it has no <Choices>" + (f", only {rest}" if rest else "")
        raise LabelConfigError(f"{ADVICE} Here {_listed(choices) or missing}.")
    element, chosen = usable[0]
    to_name = element.get("toName", "")
    data_key = _variable(images[to_name])[1:]
    target = Target(chosen.name, to_name, data_key, tuple(_class(choice) for choice in _choices(element)))
    return LabelConfig(chosen, target, tuple(other for _, other in controls if other is not chosen))


def _listed(controls: list[Control]) -> str:
    more = f"; and {len(controls) - NAMED} more" if len(controls) > NAMED else ""
    return "; ".join(map(str, controls[:NAMED])) + more


class _Tree(ElementTree.TreeBuilder):
    """Builds a config's elements, and lists its images and its controls, these with what they stand in."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[ElementTree.Element] = []
        self.controls: list[tuple[ElementTree.Element, set[str]]] = []
        self._contexts: list[str] = []

    def start(self, tag: str, attributes: dict[str, str], /) -> ElementTree.Element:
        element = super().start(tag, attributes)
        self._contexts.append("repeater" if tag.lower() == "repeater" else attributes.get("visibleWhen", ""))
        if tag.lower() == "image":
            self.images.append(element)
        elif "toName" in attributes or tag.lower() in ("choices", "taxonomy"):
            self.controls.append((element, set(self._contexts)))
        return element

    def end(self, tag: str, /) -> ElementTree.Element:
        self._contexts.pop()
        return super().end(tag)

    def doctype(self, *_: Any) -> None:
        raise LabelConfigError("The labelling config has a <!DOCTYPE>, which Label Studio does not take either: remove it.")


def _parse(xml: Any) -> _Tree:
    if not isinstance(xml, str):
        raise LabelConfigError(f"The labelling config is {kind_of(xml)}, not XML text.")
    if len(xml) > LONGEST_CONFIG:
        raise LabelConfigError(
            f"The labelling config has {len(xml):,} characters, of which {LONGEST_CONFIG:,} are read: make it shorter."
        )
    tree = _Tree()
    try:
        parser = ElementTree.XMLParser(target=tree)  # noqa: S314  no DOCTYPE, so no entities of its own
        parser.feed(xml.strip("\ufeff \t\r\n"))
        parser.close()
    except LabelConfigError:
        raise
    except (ElementTree.ParseError, ValueError) as error:  # UnicodeEncodeError is a ValueError
        raise LabelConfigError(f"The labelling config is not valid XML: {error}.") from error
    return tree


def _describe(element: ElementTree.Element, contexts: set[str], images: dict[str | None, ElementTree.Element]) -> Control:
    tag = element.tag[:SHORT]
    problem = _problem(element, contexts, images) if tag == "Choices" else OTHERS.get(tag, "is no choice about a whole image")
    conditional = bool(contexts & {"choice-selected", "choice-unselected"})
    return Control(element.get("name", ""), tag, problem, _is_set(element, "required"), conditional)


def _problem(element: ElementTree.Element, contexts: set[str], images: dict[str | None, ElementTree.Element]) -> str:
    image = images.get(element.get("toName"))
    if not element.get("name"):
        return "has no name"
    if "," in element.get("toName", ""):
        return f"refers to several objects (toName={quoted(element.get('toName', ''))})"
    if image is None:
        return "does not refer to an <Image>"
    if problem := _image_problem(image):
        return problem
    if element.get("choice", "single") not in ("single", "single-radio"):
        return f"allows several choices (choice={quoted(element.get('choice', ''))})"
    if _is_set(element, "perRegion") or _is_set(element, "perItem") or "region-selected" in contexts:
        return "is about regions, not about the whole image"
    if "repeater" in contexts:
        return "stands in a <Repeater>: it is asked several times about a task"
    return _choices_problem(element)


def _image_problem(image: ElementTree.Element) -> str:
    value = _variable(image)
    if image.get("valueList"):
        return "refers to an <Image> of several images (valueList)"
    if "$" not in value:
        return "refers to an <Image> whose value is no task variable ($image)"
    if len(VARIABLE.findall(value)) > 1:
        return f"refers to an <Image> whose value {quoted(value)} is made of several variables: put the whole address into one"
    if not VARIABLE.fullmatch(value):
        return (
            f"refers to an <Image> whose value {quoted(value)} is not one variable alone, such as $image or $meta.image: "
            "put the whole address into one"
        )
    return ""


def _variable(image: ElementTree.Element) -> str:
    """The value of an <Image>; spaces around an address mean nothing to a browser."""
    return image.get("value", "").strip()


def _choices_problem(element: ElementTree.Element) -> str:
    choices = _choices(element)
    classes = [_class(choice) for choice in choices]
    if any(choice.find(".//Choice") is not None for choice in choices):
        return "has nested choices"
    if _is_set(element, "allowNested"):
        return 'allows nested choices (allowNested="true")'
    if element.get("value"):
        return f"takes its choices from each task's data (value={quoted(element.get('value', ''))}), not from the config itself"
    if len(classes) < 2:
        return f"must list at least two <Choice> values in the config itself, and lists {len(classes)}"
    if "" in classes:
        return "has a <Choice> without a value"
    values = (choice.get("value", "") for choice in choices if choice.get("alias") is None)
    if taken := next(filter(VARIABLE.search, values), ""):
        return f"has a <Choice> whose value {quoted(taken)} is taken from each task's data ($): give it an alias"
    if len(set(classes)) < len(classes):
        return f"lists the same choice twice: {quoted(Counter(classes).most_common(1)[0][0])}"
    return ""


def _choices(control: ElementTree.Element) -> list[ElementTree.Element]:
    """Every <Choice> in a control, those laid out in <View>s of any depth too, in the order of the config."""
    return list(control.iter("Choice"))


def _class(choice: ElementTree.Element) -> str:
    """What Label Studio stores for a choice."""
    alias = choice.get("alias")
    return choice.get("value", "") if alias is None else alias


def _is_set(element: ElementTree.Element, name: str) -> bool:
    return element.get(name, "").lower() == "true"
