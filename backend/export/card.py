"""The model card, README.md of an export: where the model comes from, how good it is, what it is for, and how to use it."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from backend import __version__
from backend.export.labelled import Answers
from backend.export.measured import Measured
from backend.records.history import figures_of
from backend.status.text import f1
from model.backbone_note import BackboneNote, title_of
from model.version_store import Version

SETS = "An image may be of several of them, or of none. "
MULTINOMIAL = "multinomial logistic regression on L2-normalised embeddings, class-balanced, with self-training on the pool"
ONE_AGAINST_THE_REST = "for each class a logistic regression (one against the rest) on L2-normalised embeddings, balanced"
SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#"})


@dataclass
class Card:
    """What the card tells. title: the project's; note: on the backbone; about: model.json; history: `version_values` of the
    versions on disk; labels: how many each class has now; counts: tasks by state; answers: who gave the labels; random:
    labelled tasks of the random sample; predicted: images with and without a prediction; measured: the difference to the
    product; onnx: the ONNX file's to torch, None where there is no such file; left_out: what the folder lacks, and why."""

    project: int
    title: str
    version: Version
    note: BackboneNote
    about: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    random: int = 0
    predicted: tuple[int, int] = (0, 0)
    measured: Measured = field(default_factory=Measured)
    onnx: float | None = None
    left_out: list[str] = field(default_factory=list)


def render_card(card: Card) -> str:
    """The card as Markdown, with the front matter of a model card of the Hugging Face hub."""
    retrained = f", its {'last stage' if card.note.depth == 'last' else 'whole network'} retrained" if card.note.depth else ""
    parts = [
        _front_matter(card),
        f"# {plain_text(card.title)}",
        f"An image classifier for {len(card.version.classes)} classes: {_listed(card.version.classes)}. "
        f"{SETS if card.version.several else ''}It was taught by active learning in Label Studio, project {card.project}, and "
        f"exported on {time.strftime('%Y-%m-%d')}.",
        "## Use",
        "```sh\npip install torch torchvision pillow safetensors\npython predict.py photo.jpg\n```",
        _use(card),
        *(["**Left out:** " + " ".join(f"{text.rstrip('.')}." for text in card.left_out)] if card.left_out else []),
        "## Model",
        f"- Network: {plain_text(title_of(card.note.network))}{retrained}; images as `{card.note.preprocessing}`\n"
        f"- Weights it began with: {_weights(card.note)}\n"
        f"- Head: {ONE_AGAINST_THE_REST if card.version.several else MULTINOMIAL}; "
        f"temperature {card.version.head.temperature if card.version.head else 1:.3f}\n"
        f"- Strategy that chose the images: `{plain_text(card.version.strategy)}`\n"
        f"- Version: `{card.version.name}` of {_day(card.version.created)}; made by label-studio-active-learning {__version__}",
        "## Data",
        _data(card),
        "## Metrics",
        _metrics(card),
        "## Difference to Label Studio's predictions",
        _difference(card),
        "## Versions",
        _history(card),
        "## Intended use and limits",
        _limits(card),
    ]
    return "\n\n".join(parts) + "\n"


def plain_text(text: str) -> str:
    """`text` in one line, nothing of which is Markdown."""
    return _one_line(text).translate(SPECIAL)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _quoted(text: str) -> str:
    """`text` as a string of YAML, which takes those of JSON, but no pair of escapes for one character."""
    return json.dumps(_one_line(text), ensure_ascii=False)


def _front_matter(card: Card) -> str:
    """What the Hugging Face hub reads of a model card, as YAML."""
    lines = [
        "---",
        f"library_name: {card.about['library']}",
        "pipeline_tag: image-classification",
        "tags: [image-classification, active-learning, label-studio]",
    ]
    metrics = card.version.metrics
    if metrics.get("enough"):
        on = "the images without a label, by " if metrics.get("unlabelled") else ""
        name = _quoted(f"macro F1 on {on}{metrics['n']} random slots, 95 % in {_range(metrics['interval'])}")
        lines += [
            "model-index:",
            f"- name: {_quoted(card.title)}",
            "  results:",
            "  - task: {type: image-classification}",
            f"    dataset: {{type: label-studio, name: {_quoted(card.title)}}}",
            f"    metrics: [{{type: f1, value: {metrics['macro_f1']:.4f}, name: {name}}}]",
        ]
    return "\n".join([*lines, "---"])


def _use(card: Card) -> str:
    free = "any height and width from 224 on" if card.about["preprocessing"]["crop"] is None else "one height and width"
    lines = [
        "- `predict.py` with `model.json` and `model.safetensors`: from a photo to calibrated probabilities",
        f"- `model.safetensors`: a state dict of {card.about['library']}'s `{plain_text(card.about['network'])}` with "
        f"`{', '.join(card.about['classifiers'])}` for these classes. The library's own forward gives **other** probabilities: "
        "what the classifier is fed must be made a vector of length 1 first"
        + (", cells are pooled twice" if card.about["pooling"] == "whole and middle" else "")
        + (", and the stride of three blocks sits in their first convolution" if card.about["stride_in_1x1"] else "")
        + ". `Classifier` in `predict.py` does that.",
    ]
    if card.onnx is not None:
        lines.append(
            f"- `model.onnx`: `pixels`, uint8 (N, H, W, 3), {free}, as `read` in `predict.py` gives them, to `probabilities`; "
            f"they differ from torch's by at most {card.onnx:.1g}"
        )
    files = "- `predictions.csv`: {} images that nobody has labelled, with their probabilities; {} more could not be read"
    return "\n".join([*lines, files.format(*card.predicted), "- `labels.csv`: the labelled set, where it was asked for"])


def _data(card: Card) -> str:
    labels, several = card.version.labels, card.version.several
    learned = {
        name: int((labels[:, number] if several else labels == number).sum())
        for number, name in enumerate(card.version.classes)
    }
    rows = [
        f"| {plain_text(name)} | {learned.get(name, 0)} | {card.labels.get(name, 0)} |"
        for name in dict.fromkeys([*card.version.classes, *card.labels])
    ]
    given = sorted(card.answers.annotators.values(), reverse=True)
    who = f"{len(given)}, with {', '.join(map(str, given[:20]))} annotations" if given else "not known"
    counts = ", ".join(f"{number} {name}" for name, number in card.counts.items() if name != "unreadable")
    table = "\n".join(["| class | labels learned | labels now |", "|---|---|---|", *rows])
    return (
        f"{table}\n\n- Images: {counts}; {card.counts.get('unreadable', 0)} could not be read\n- Annotators: {who}\n"
        f"- {card.random} of the labelled images were drawn at random (random slots); a strategy chose the others, so the "
        "labelled set as a whole is no fair sample, and its classes are not as frequent as they are among all images"
    )


def _metrics(card: Card) -> str:
    metrics = card.version.metrics
    said = f1(figures_of(metrics))
    how = "Each random slot was judged by a head that had not learned it (cross-fitting)"
    if metrics.get("unlabelled"):
        how += ", which says how far off the model's own probabilities for the images without a label are"
    lines = [f"Macro F1: {said}. {how}."]
    if metrics.get("enough"):
        right = " (images with all their classes right)" if card.version.several else ""
        sure = f" ({_range(metrics['accuracy_interval'])}, 95 %)" if metrics.get("unlabelled") else ""
        lines.append(f"Accuracy {metrics['accuracy']:.3f}{sure}{right}, expected calibration error {metrics['ece']:.3f}.")
        intervals = metrics.get("per_class_intervals") or [None] * len(card.version.classes)
        rows = [
            f"| {plain_text(name)} | {'not among them' if value is None else f'{value:.3f}'}"
            f"{f' ({_range(interval)})' if interval else ''} |"
            for name, value, interval in zip(card.version.classes, metrics["per_class"], intervals, strict=True)
        ]
        lines.append("\n".join(["| class | F1 |", "|---|---|", *rows]))
    return "\n\n".join(lines)


def _difference(card: Card) -> str:
    n = len(card.measured.images)
    product = (
        f"The files here compute in float32. Label Studio's predictions, and `predictions.csv`, are in {card.note.arithmetic}"
    )
    if not n:
        return f"{product}, on embeddings kept in float16. By how much they differ was not measured: no image could be fetched."
    return (
        f"{product}, on embeddings kept in float16: on {n} images of the project a probability differs by at most "
        f"{card.measured.largest:.4f}, and {card.measured.same} of {n} have the same class."
    )


def _history(card: Card) -> str:
    rows = [
        f"| {entry['name']} | {str(entry.get('created', '')).replace('T', ' ')} | {entry.get('labels', '')} | "
        f"{_short(entry)} | {plain_text(str(entry.get('backbone', '')))} |"
        for entry in card.history
    ]
    return "\n".join(["| version | made | labels | macro F1 (95 %) | backbone |", "|---|---|---|---|---|", *rows])


def _limits(card: Card) -> str:
    head = card.version.head
    unseen = [name for at, name in enumerate(card.version.classes) if head and not head.learned[at]]
    lines = [
        "- For images like those of the project. Nothing was measured on others"
        + ("." if card.version.several else ", and an image of none of the classes gets one."),
        "- Probabilities are calibrated on few images: read them with the interval above in mind.",
        "- Photos that are cut off, and those with more than 8 bits a channel, are read by the plugin alone.",
        "- The licence of the weights it began with, and rights in the images, may bind this model too.",
    ]
    if unseen:
        text = f"- Nobody has labelled an image as {_listed(unseen)} yet: the model never chooses it."
        if card.version.several:
            text = f"- All images labelled so far have the same answer to {_listed(unseen)}: the model gives it to every image."
        lines.insert(0, text)
    return "\n".join(lines)


def _weights(note: BackboneNote) -> str:
    name = plain_text(note.weights.rpartition("/")[2])
    if note.depth:
        return f"backbone `{plain_text(note.base)}`, retrained on this project's labels"
    return f"`{name}`" if name else "the library's"


def _short(entry: dict[str, Any]) -> str:
    return f"{entry['macro_f1']:.3f} ({_range(entry['interval'])})" if entry.get("enough") else "not known yet"


def _range(interval: Any) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def _listed(names: list[str]) -> str:
    return ", ".join(map(plain_text, names))


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(moment))
