"""What a labelling config asks: the one question this plugin answers is a choice about an image."""

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from backend.labelstudio.config_tree import LabelConfigError, is_set, parse_tree
from backend.labelstudio.controls import LEARNED, MULTIPLE, Control, choices_of, class_of, describe, separator_of, variable
from backend.labelstudio.several import Several
from backend.labelstudio.target import Answer, Target
from backend.labelstudio.task_data import quoted
from backend.labelstudio.tree import Tree, leaves_of

__all__ = ["Answer", "Control", "LabelConfig", "LabelConfigError", "Target", "parse_label_config", "read_label_config"]

NAMED = 8  # controls that a message names
ADVICE = (
    "Active learning needs <Choices>, or a <Taxonomy>, on an <Image> in the labelling config, such as "
    '<Image name="image" value="$image"/><Choices name="choice" toName="image" choice="single"><Choice value="A"/>'
    '<Choice value="B"/></Choices>.'
)


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

    A single choice comes before a <Taxonomy>, and that before several choices, so that a project of before these could be
    learned keeps its question; and of the same kind one that is asked of every image before one that is asked only after
    certain answers. Takes anything that JSON can hold; raises LabelConfigError and nothing else.
    """
    tree = parse_tree(xml)
    images = {image.get("name"): image for image in tree.images}
    controls = [(element, describe(element, contexts, images)) for element, contexts in tree.controls]
    asked = [found for found in controls if not control or found[1].name == control]
    if not asked and control:
        there = _listed([found for _, found in controls]) or "none"
        raise LabelConfigError(f"The labelling config has no control named {quoted(control)}. There are: {there}.")
    usable = sorted((found for found in asked if not found[1].problem), key=_rank)
    if not usable:
        choices = [found for _, found in asked if found.tag in LEARNED or control]
        rest = _listed([found for _, found in asked])
        missing = "it has no <Choices> and no <Taxonomy>" + (f", only {rest}" if rest else "")
        raise LabelConfigError(f"{ADVICE} Here {_listed(choices) or missing}.")
    element, chosen = usable[0]
    others = tuple(other for _, other in controls if other is not chosen)
    beside = tuple(sorted({other.name for other in others}))
    return LabelConfig(chosen, _target(element, images, beside), others)


def _rank(found: tuple[ElementTree.Element, Control]) -> tuple[bool, int, bool]:
    element, control = found
    return element.get("choice") == MULTIPLE, LEARNED.index(control.tag), control.conditional


def _target(element: ElementTree.Element, images: dict[str | None, ElementTree.Element], beside: tuple[str, ...]) -> Target:
    """What `element`, which can be learned, asks. beside: names of the other controls."""
    name, to_name = element.get("name", ""), element.get("toName", "")
    data_key = variable(images[to_name])[1:]
    if element.tag == "Choices":
        classes = tuple(map(class_of, choices_of(element)))
        if element.get("choice") != MULTIPLE:
            return Target(name, to_name, data_key, classes)
        return Several(name, to_name, data_key, classes, not is_set(element, "required"), beside)
    separator = separator_of(element)
    classes = tuple(separator.join(map(class_of, path)) for path in leaves_of(element))
    stops = not is_set(element, "leafsOnly") and element.get("maxUsages", "").strip() != "1"
    return Tree(name, to_name, data_key, classes, separator, stops)


def _listed(controls: list[Control]) -> str:
    more = f"; and {len(controls) - NAMED} more" if len(controls) > NAMED else ""
    return "; ".join(map(str, controls[:NAMED])) + more
