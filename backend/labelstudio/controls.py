"""The controls of a labelling config: which of them can be learned, why others cannot, and the classes of a control."""

from collections import Counter
from dataclasses import dataclass
from xml.etree import ElementTree

from backend.labelstudio.config_tree import VARIABLE, is_set
from backend.labelstudio.task_data import SHORT, quoted
from backend.labelstudio.tree import DEEPEST, SEPARATOR, leaves_of

MULTIPLE = "multiple"
LEARNED = ("Choices", "Taxonomy")
ABOUT_REGIONS = ("perRegion", "perItem", "labeling")
OTHERS = {
    "choices": "is written in small letters, which Label Studio takes for no <Choices> where it stores predictions",
}


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


def describe(element: ElementTree.Element, contexts: set[str], images: dict[str | None, ElementTree.Element]) -> Control:
    """The control that `element` is. contexts: what it stands in; images: by their names."""
    tag = element.tag[:SHORT]
    problem = _problem(element, contexts, images) if tag in LEARNED else OTHERS.get(tag, "is no choice about a whole image")
    conditional = bool(contexts & {"choice-selected", "choice-unselected"})
    return Control(element.get("name", ""), tag, problem, is_set(element, "required"), conditional)


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
    if any(is_set(element, name) for name in ABOUT_REGIONS) or "region-selected" in contexts:
        return "is about regions, not about the whole image"
    if "repeater" in contexts:
        return "stands in a <Repeater>: it is asked several times about a task"
    return _tree_problem(element) if element.tag == "Taxonomy" else _choices_problem(element)


def _image_problem(image: ElementTree.Element) -> str:
    value = variable(image)
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


def variable(image: ElementTree.Element) -> str:
    """The value of an <Image>; spaces around an address mean nothing to a browser."""
    return image.get("value", "").strip()


def _choices_problem(element: ElementTree.Element) -> str:
    choices = choices_of(element)
    classes = [class_of(choice) for choice in choices]
    if element.get("choice", "single") not in ("single", "single-radio", MULTIPLE):
        return f"has choice={quoted(element.get('choice', ''))}, which is none of single, single-radio and multiple"
    if any(choice.find(".//Choice") is not None for choice in choices):
        return "has nested choices"
    if is_set(element, "allowNested"):
        return 'allows nested choices (allowNested="true")'
    if element.get("value"):
        return f"takes its choices from each task's data (value={quoted(element.get('value', ''))}), not from the config itself"
    if len(classes) < 2:
        return f"must list at least two <Choice> values in the config itself, and lists {len(classes)}"
    if "" in classes:
        return "has a <Choice> without a value"
    if taken := _taken_from_data(choices):
        return taken
    if len(set(classes)) < len(classes):
        return f"lists the same choice twice: {quoted(Counter(classes).most_common(1)[0][0])}"
    return ""


def _tree_problem(element: ElementTree.Element) -> str:
    separator = separator_of(element)
    paths = leaves_of(element)
    nodes = list(element.iter("Choice"))
    for name in ("apiUrl", "value"):
        if element.get(name):
            return f"takes its classes from elsewhere ({name}={quoted(element.get(name, ''))}), not from the config itself"
    if element.get("maxUsages", "1").strip() not in ("", "1"):
        return f'allows several classes (maxUsages={quoted(element.get("maxUsages", ""))}): set maxUsages="1"'
    if not separator:
        return "has an empty pathSeparator, by which Label Studio's editor would cut a path into its letters"
    if len(paths) < 2:
        return f"must list at least two <Choice> leaves in the config itself, and lists {len(paths)}"
    if max(map(len, paths)) > DEEPEST:
        return f"nests its choices more than {DEEPEST} deep"
    if "" in map(class_of, nodes):
        return "has a <Choice> without a value"
    if taken := _taken_from_data(nodes):
        return taken
    if cut := next((name for name in map(class_of, nodes) if separator in name), ""):
        return (
            f"has a <Choice> that holds {quoted(separator)}, at which Label Studio's editor cuts paths: {quoted(cut)}. "
            "Set pathSeparator to something that no choice holds"
        )
    for siblings in (parent.findall("Choice") for parent in (element, *nodes)):
        for names in ([choice.get("value", "") for choice in siblings], [class_of(choice) for choice in siblings]):
            if len(set(names)) < len(names):
                return f"lists the same choice twice: {quoted(Counter(names).most_common(1)[0][0])}"
    return ""


def _taken_from_data(choices: list[ElementTree.Element]) -> str:
    values = (choice.get("value", "") for choice in choices if choice.get("alias") is None)
    taken = next(filter(VARIABLE.search, values), "")
    return f"has a <Choice> whose value {quoted(taken)} is taken from each task's data ($): give it an alias" if taken else ""


def separator_of(taxonomy: ElementTree.Element) -> str:
    """What stands between the names of a path."""
    return taxonomy.get("pathSeparator", SEPARATOR)


def choices_of(control: ElementTree.Element) -> list[ElementTree.Element]:
    """Every <Choice> in a control, those laid out in <View>s of any depth too, in the order of the config."""
    return list(control.iter("Choice"))


def class_of(choice: ElementTree.Element) -> str:
    """What Label Studio stores for a choice."""
    alias = choice.get("alias")
    return choice.get("value", "") if alias is None else alias
