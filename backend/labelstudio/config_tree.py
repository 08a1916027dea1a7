"""A labelling config as a tree of tags: its images and its controls, these with what they stand in."""

import re
from typing import Any
from xml.etree import ElementTree

from backend.labelstudio.task_data import kind_of

LONGEST_CONFIG = 2_000_000  # characters
VARIABLE = re.compile(r"\$[\w\[\].{}]+", re.ASCII)  # what Label Studio's editor replaces by a task's data


class LabelConfigError(ValueError):
    """A labelling config this plugin cannot serve; the message says what it needs. Label Studio shows it."""


class ConfigTree(ElementTree.TreeBuilder):
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


def parse_tree(xml: Any) -> ConfigTree:
    """The tree of the labelling config `xml`, which may be anything that JSON can hold. Raises LabelConfigError."""
    if not isinstance(xml, str):
        raise LabelConfigError(f"The labelling config is {kind_of(xml)}, not XML text.")
    if len(xml) > LONGEST_CONFIG:
        raise LabelConfigError(
            f"The labelling config has {len(xml):,} characters, of which {LONGEST_CONFIG:,} are read: make it shorter."
        )
    tree = ConfigTree()
    try:
        parser = ElementTree.XMLParser(target=tree)  # noqa: S314  no DOCTYPE, so no entities of its own
        parser.feed(xml.strip("\ufeff \t\r\n"))
        parser.close()
    except LabelConfigError:
        raise
    except (ElementTree.ParseError, ValueError) as error:  # UnicodeEncodeError is a ValueError
        raise LabelConfigError(f"The labelling config is not valid XML: {error}.") from error
    return tree


def is_set(element: ElementTree.Element, name: str) -> bool:
    """Whether an attribute says yes."""
    return element.get(name, "").lower() == "true"
